"""Where a store is: a folder, or a place in a bucket with the cache that goes with it. Pure: nothing is contacted.

A store's address is one text, so that it can be handed on as it is: ``/home/me/store``, or
``s3://bucket/prefix?cache=/home/me/cache&cache_size=21474836480``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

__all__ = ["BucketAddress", "is_bucket", "parse_bucket", "with_cache"]

SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_EXAMPLE = "Example: s3://my-bucket/team/cellyard."


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """A place in a bucket, where all keys begin with ``prefix``; ``cache`` is a folder, ``cache_size`` bytes."""

    bucket: str
    prefix: str = ""
    cache: str | None = None
    cache_size: int | None = None

    @property
    def url(self) -> str:
        """The place without the cache: the same for everybody who uses the store."""
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    def __str__(self) -> str:
        given = {"cache": self.cache, "cache_size": self.cache_size}
        query = urlencode({key: value for key, value in given.items() if value is not None}, safe="/")
        return f"{self.url}?{query}" if query else self.url

    def key(self, name: str) -> str:
        """The key of an object of the store."""
        return f"{self.prefix}/{name}" if self.prefix else name


def is_bucket(text: str) -> bool:
    """True for an address in a bucket, valid or not; everything else is a folder."""
    return text.startswith(SCHEME)


def parse_bucket(text: str) -> BucketAddress:
    """The address that ``text`` writes. Raises ValueError with a sentence."""
    if not is_bucket(text):
        raise ValueError(f"an address in a bucket begins with {SCHEME}. {_EXAMPLE}")
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError("credentials do not belong into the address; they are taken from AWS_ACCESS_KEY_ID and so on.")
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError(f"{parts.netloc!r} cannot be the name of a bucket. {_EXAMPLE}")
    prefix = parts.path.strip("/")
    if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
        raise ValueError(f"the path in the bucket has an empty or relative part. {_EXAMPLE}")
    if parts.fragment:
        raise ValueError(f"a '#' cannot be part of the address. {_EXAMPLE}")
    return BucketAddress(parts.netloc, prefix, **_cache(parts.query))


def with_cache(address: str, folder: str, size: int | None = None) -> str:
    """The same store for a machine whose cache is in that folder; ``size`` None: as it was. A folder stays as it is."""
    if not is_bucket(address):
        return address
    found = parse_bucket(address)
    return str(replace(found, cache=folder or found.cache, cache_size=found.cache_size if size is None else size))


def _cache(query: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "cache" and value:
            found[key] = value
        elif key == "cache_size" and value.isdigit():
            found[key] = int(value)
        else:
            raise ValueError(f"'?{key}={value}' is not understood; cache and cache_size have settings of their own.")
    return found
