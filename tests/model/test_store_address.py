"""Addresses of stores: one text, whatever is in it."""

from __future__ import annotations

import re

import pytest

from cellyard.model.store_address import BucketAddress, is_bucket, parse_bucket, with_cache


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://bucket", BucketAddress("bucket")),
        ("s3://bucket/", BucketAddress("bucket")),
        ("s3://my.bucket-1/a/b/", BucketAddress("my.bucket-1", "a/b")),
        ("s3://bucket/a?cache=/x%20y/z&cache_size=5", BucketAddress("bucket", "a", "/x y/z", 5)),
    ],
)
def test_an_address_is_read_and_written(text: str, address: BucketAddress) -> None:
    assert parse_bucket(text) == address
    assert parse_bucket(str(address)) == address


def test_keys_begin_with_the_prefix() -> None:
    assert BucketAddress("bucket", "a/b").key("objects/x") == "a/b/objects/x"
    assert BucketAddress("bucket").key("objects/x") == "objects/x"


def test_the_url_is_the_same_whatever_the_cache() -> None:
    assert BucketAddress("bucket", "a", "/one", 1).url == BucketAddress("bucket", "a").url == "s3://bucket/a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/folder", "begins with s3://"),
        ("s3://", "cannot be the name of a bucket"),
        ("s3://Bucket", "cannot be the name of a bucket"),
        ("s3://key:secret@bucket", "credentials do not belong"),
        ("s3://bucket/a//b", "empty or relative part"),
        ("s3://bucket/../b", "empty or relative part"),
        ("s3://bucket/a#b", "'#'"),
        ("s3://bucket?cache_size=20GiB", "is not understood"),
        ("s3://bucket?endpoint=x", "is not understood"),
    ],
)
def test_what_is_no_address_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        parse_bucket(text)
    assert "secret@" not in str(caught.value)


def test_another_machine_has_another_cache() -> None:
    assert with_cache("/folder", "/cache") == "/folder"
    assert (
        with_cache("s3://bucket/a?cache=/home/me&cache_size=7", "/cache") == "s3://bucket/a?cache=/cache&cache_size=7"
    )
    assert with_cache("s3://bucket/a", "", 7) == "s3://bucket/a?cache_size=7"
    assert is_bucket("s3://x")
    assert not is_bucket("x")
