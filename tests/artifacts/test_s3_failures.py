"""Every failure of S3 in our words, with what it means for whoever asked."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)

from cellyard.artifacts.s3_failures import Kind, classify


def answer(code: str, status: int, message: str = "") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "GetObject")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, Kind.MISSING),
        ("404", 404, Kind.MISSING),
        ("NoSuchBucket", 404, Kind.REFUSED),
        ("SomethingElseNotFound", 404, Kind.REFUSED),
        ("AccessDenied", 403, Kind.REFUSED),
        ("403", 403, Kind.REFUSED),
        ("ExpiredToken", 400, Kind.EXPIRED),
        ("SignatureDoesNotMatch", 403, Kind.EXPIRED),
        ("PreconditionFailed", 412, Kind.EXISTS),
        ("412", 412, Kind.EXISTS),
        ("ConditionalRequestConflict", 409, Kind.TRANSIENT),
        ("InvalidRange", 416, Kind.RANGE),
        ("NoSuchUpload", 404, Kind.NO_UPLOAD),
        ("NotImplemented", 501, Kind.UNSUPPORTED),
        ("SlowDown", 503, Kind.TRANSIENT),
        ("InternalError", 500, Kind.TRANSIENT),
        ("502", 502, Kind.TRANSIENT),
        ("RequestTimeout", 400, Kind.TRANSIENT),
        ("QuotaExceeded", 403, Kind.FULL),
        ("XMinioStorageFull", 507, Kind.FULL),
        ("InvalidArgument", 400, Kind.REFUSED),
    ],
)
def test_an_answer_of_the_server(code: str, status: int, kind: Kind) -> None:
    error = answer(code, status)
    found = classify(error)
    assert found is not None
    assert found.kind is kind
    translated = OSError("as s3fs has it")
    translated.__cause__ = error
    assert classify(translated) == found


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (EndpointConnectionError(endpoint_url="http://x", error=ConnectionRefusedError()), Kind.TRANSIENT, "refused"),
        (EndpointConnectionError(endpoint_url="http://x", error=socket.gaierror()), Kind.TRANSIENT, "DNS"),
        (ConnectionClosedError(endpoint_url="http://x"), Kind.TRANSIENT, "cut"),
        (ReadTimeoutError(endpoint_url="http://x"), Kind.TRANSIENT, "silent"),
        (ConnectionResetError(), Kind.TRANSIENT, "cut"),
        (TimeoutError(), Kind.TRANSIENT, "in time"),
        (NoCredentialsError(), Kind.REFUSED, "no credentials"),
        (ProfileNotFound(profile="work"), Kind.REFUSED, "no such AWS profile"),
    ],
)
def test_no_answer(error: Exception, kind: Kind, said: str) -> None:
    found = classify(error)
    assert found is not None
    assert found.kind is kind
    assert said in found.reason
    assert found.hint


def test_what_is_not_about_s3_is_not_ours() -> None:
    assert classify(ValueError("x")) is None
    assert classify(FileNotFoundError("x")) is None


def test_no_secret_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-hunter2")
    found = classify(answer("Odd", 400, "key hunter2-hunter2 at http://me:hunter3@host/bucket"))
    assert found is not None
    assert "hunter" not in found.reason
    assert "Odd: key … at http://host/bucket" in found.reason
