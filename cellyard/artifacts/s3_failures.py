"""What went wrong between us and S3, in our words. Pure: an exception in, a sentence and what to do out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["Failed", "Failure", "Kind", "classify"]


class Kind(Enum):
    """What a failure means for the one who asked."""

    TRANSIENT = "it may pass by itself"
    EXPIRED = "other credentials may be had by asking again"
    MISSING = "no such object"
    EXISTS = "the object is there already"
    RANGE = "the object ends before that range"
    NO_UPLOAD = "the multipart upload is over"
    UNSUPPORTED = "the server does not know this kind of request"
    FULL = "no room"
    REFUSED = "asking again is of no use"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure; ``reason`` is half a sentence, ``hint`` one or more. Neither holds a secret."""

    kind: Kind
    reason: str
    hint: str = ""


class Failed(Exception):
    """A request that failed for good, after so many seconds."""

    def __init__(self, failure: Failure, waited: float = 0.0) -> None:
        super().__init__(failure.reason)
        self.failure = failure
        self.waited = waited


_CREDENTIALS = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile."
_ADDRESS = "Check AWS_ENDPOINT_URL and that the server runs."
_BY_CODE: dict[str, Failure] = {
    "NoSuchKey": Failure(Kind.MISSING, "no such object"),
    "NoSuchBucket": Failure(Kind.REFUSED, "there is no such bucket", "Make it, or correct the setting `store`."),
    "NoSuchUpload": Failure(Kind.NO_UPLOAD, "the upload is over"),
    "PreconditionFailed": Failure(Kind.EXISTS, "the object is there already"),
    "InvalidRange": Failure(Kind.RANGE, "the object is shorter"),
    "NotImplemented": Failure(Kind.UNSUPPORTED, "the server does not know this kind of request"),
    "AccessDenied": Failure(
        Kind.REFUSED,
        "access denied",
        "The credentials need s3:GetObject, s3:PutObject, s3:ListBucket and s3:AbortMultipartUpload for this bucket.",
    ),
    "InvalidAccessKeyId": Failure(Kind.EXPIRED, "the access key is unknown there", _CREDENTIALS),
    "XAdminUserNotFound": Failure(Kind.EXPIRED, "the access key is unknown there", _CREDENTIALS),
    "SignatureDoesNotMatch": Failure(Kind.EXPIRED, "the secret key does not belong to the access key", _CREDENTIALS),
    "ExpiredToken": Failure(Kind.EXPIRED, "the credentials have expired", "Renew them, and run it again."),
    "InvalidToken": Failure(Kind.EXPIRED, "the session token is not valid", _CREDENTIALS),
    "TokenRefreshRequired": Failure(Kind.EXPIRED, "the credentials have expired", "Renew them, and run it again."),
    "RequestTimeTooSkewed": Failure(
        Kind.REFUSED, "the clocks of server and client differ", "Set this machine's clock."
    ),
    "QuotaExceeded": Failure(Kind.FULL, "the quota is used up"),
    "ConditionalRequestConflict": Failure(Kind.TRANSIENT, "somebody else writes the same object"),
    "OperationAborted": Failure(Kind.TRANSIENT, "somebody else writes the same object"),
    "PermanentRedirect": Failure(Kind.REFUSED, "the bucket is in another region", "Set AWS_REGION to the bucket's."),
    "AuthorizationHeaderMalformed": Failure(
        Kind.REFUSED, "the bucket is in another region", "Set AWS_REGION to the bucket's."
    ),
}
#: The answer to HEAD has no body, and so no code.
_BY_STATUS = {
    403: "AccessDenied",
    404: "NoSuchKey",
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    416: "InvalidRange",
    501: "NotImplemented",
}
_TRANSIENT_CODES = {
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalError",
    "ServiceUnavailable",
    "XAmzContentSHA256Mismatch",
    "BadDigest",
    "IncompleteBody",
}
# botocore's and aiohttp's classes by name: this module needs neither to be installed.
_BY_CLASS: dict[str, Failure] = {
    "NoCredentialsError": Failure(
        Kind.REFUSED, "no credentials were found", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile."
    ),
    "PartialCredentialsError": Failure(Kind.REFUSED, "the credentials are not complete", _CREDENTIALS),
    "ProfileNotFound": Failure(Kind.REFUSED, "there is no such AWS profile", "Check AWS_PROFILE."),
    "TokenRetrievalError": Failure(Kind.EXPIRED, "the login has expired", "Log in again."),
    "SSOTokenLoadError": Failure(Kind.EXPIRED, "the login has expired", "Log in again."),
    "CredentialRetrievalError": Failure(Kind.TRANSIENT, "no credentials could be had", _CREDENTIALS),
    "InvalidEndpointError": Failure(Kind.REFUSED, "the endpoint is no address", _ADDRESS),
    "InvalidRegionError": Failure(Kind.REFUSED, "the region is no name of a region", "Check AWS_REGION."),
    "SSLError": Failure(Kind.REFUSED, "the server's certificate was not accepted", "Check AWS_CA_BUNDLE."),
    "ReadTimeoutError": Failure(Kind.TRANSIENT, "the server fell silent", _ADDRESS),
    "ConnectTimeoutError": Failure(Kind.TRANSIENT, "no connection came about in time", _ADDRESS),
    "EndpointConnectionError": Failure(Kind.TRANSIENT, "no connection", _ADDRESS),
    "ConnectionClosedError": Failure(Kind.TRANSIENT, "the connection was cut", _ADDRESS),
    "HTTPClientError": Failure(Kind.TRANSIENT, "the connection broke", _ADDRESS),
    "ResponseParserError": Failure(Kind.TRANSIENT, "the answer was not understood", _ADDRESS),
    "ClientPayloadError": Failure(Kind.TRANSIENT, "the connection was cut", _ADDRESS),
    "ClientConnectionError": Failure(Kind.TRANSIENT, "the connection was cut", _ADDRESS),
    "ResponseStreamingError": Failure(Kind.TRANSIENT, "the connection was cut", _ADDRESS),
    "IncompleteRead": Failure(Kind.TRANSIENT, "the connection was cut", _ADDRESS),
    "IncompleteReadError": Failure(Kind.TRANSIENT, "the connection was cut", _ADDRESS),
    "TimeoutError": Failure(Kind.TRANSIENT, "no answer in time", _ADDRESS),
    "ConnectionError": Failure(Kind.TRANSIENT, "the connection was cut", _ADDRESS),
}


def classify(error: BaseException) -> Failure | None:
    """What an exception of s3fs, botocore or aiohttp means; None for one that is not about S3."""
    response = _response_of(error)
    if response is not None:
        return _of_response(response)
    for kind in type(error).__mro__:
        if kind.__name__ in _BY_CLASS:
            return _more_exactly(_BY_CLASS[kind.__name__], error)
    if type(error).__module__.partition(".")[0] in {"botocore", "aiobotocore", "aiohttp"}:
        return Failure(Kind.REFUSED, _without_secrets(f"{type(error).__name__}: {error}"))
    return None


def _response_of(error: BaseException) -> Any:
    """s3fs makes an OSError of the server's answer, and keeps botocore's error as its cause."""
    cause: BaseException | None = error
    while cause is not None:
        response = getattr(cause, "response", None)
        if isinstance(response, dict) and "Error" in response:
            return response
        cause = cause.__cause__
    return None


def _of_response(response: Any) -> Failure:
    code = str(response["Error"].get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or (code if code.isdigit() else 0))
    if code in _BY_CODE:
        return _BY_CODE[code]
    if "Quota" in code or "StorageFull" in code or status == 507:
        return Failure(Kind.FULL, "no room is left there")
    if code in _TRANSIENT_CODES or status in (408, 429) or (status >= 500 and status != 501):
        return Failure(Kind.TRANSIENT, f"the server is in trouble ({code or status})", _ADDRESS)
    if status in _BY_STATUS and (code.isdigit() or status not in (403, 404)):
        return _BY_CODE[_BY_STATUS[status]]
    words = _without_secrets(str(response["Error"].get("Message", "")))
    return Failure(Kind.REFUSED, f"{code or status}: {words}"[:300])


def _more_exactly(failure: Failure, error: BaseException) -> Failure:
    """What the operating system said: a name that does not exist, or a refused connection."""
    seen = 0
    cause: BaseException | None = error
    while cause is not None and seen < 8:
        if type(cause).__name__ in {"gaierror", "ClientConnectorDNSError"}:
            return Failure(failure.kind, "its name is not known (DNS)", _ADDRESS)
        if isinstance(cause, ConnectionRefusedError):
            return Failure(failure.kind, "the connection was refused", _ADDRESS)
        inner = getattr(cause, "os_error", None) or (getattr(cause, "kwargs", None) or {}).get("error")
        cause = inner or cause.__cause__ or cause.__context__
        seen += 1
    return failure


def _without_secrets(text: str) -> str:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"):
        value = os.environ.get(name)
        if value:
            text = text.replace(value, "…")
    return re.sub(r"://[^/@\s]+@", "://", text)
