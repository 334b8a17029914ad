"""Addresses: what they name, and what of them may be seen."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from asl_kit.errors import UsageError
from asl_kit.remote.address import Address, is_address, local_path, parse_address, path_or_address


@pytest.mark.parametrize(
    ("text", "shown", "name"),
    [
        ("https://h.org/a/clip%201.mp4", "https://h.org/a/clip%201.mp4", "clip 1.mp4"),
        ("https://me:secret@h.org:8443/clip.mp4", "https://h.org:8443/clip.mp4", "clip.mp4"),
        ("HTTPS://h.org/clip.mp4?X-Amz-Signature=secret&a=1#secret", "https://h.org/clip.mp4", "clip.mp4"),
        ("s3://bucket/videos/what? 100%.mp4", "s3://bucket/videos/what? 100%.mp4", "what? 100%.mp4"),
        ("gs://bucket/clip#1.mp4", "gs://bucket/clip#1.mp4", "clip#1.mp4"),
    ],
)
def test_secrets_are_not_shown(text: str, shown: str, name: str) -> None:
    address = parse_address(text)
    assert (str(address), address.name) == (shown, name)
    assert "secret" not in f"{address} {address!r}"
    assert pickle.loads(pickle.dumps(address)) == address
    assert address.has_secrets == ("secret" in text)


@pytest.mark.parametrize(
    ("text", "is_folder"),
    [("s3://b", True), ("s3://b/", True), ("s3://b/v/", True), ("s3://b/v", False), ("https://h/v/", True)],
)
def test_folders(text: str, is_folder: bool) -> None:
    assert parse_address(text).is_folder == is_folder


def test_what_is_in_a_folder() -> None:
    """Names of a store's folders are percent-encoded ids: on a web server that is encoded once more."""
    assert (parse_address("https://h/f.zarr?key=1") / "a%20b").url == "https://h/f.zarr/a%2520b?key=1"
    assert (Address("s3://b/f.zarr/") / "a%20b").url == "s3://b/f.zarr/a%20b"


def test_paths_are_not_addresses() -> None:
    assert path_or_address("videos/a.mp4") == path_or_address(Path("videos/a.mp4")) == Path("videos/a.mp4")
    assert not is_address(Path("s3://b/a.mp4"))
    assert path_or_address("s3://b/a.mp4") == Address("s3://b/a.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://me:secret@h/a.mp4", "ftp://: unknown kind of address"),
        ("file:///a.mp4", "an address of a local file"),
        ("https:///a.mp4", "no server is named"),
        ("s3://", "no bucket is named"),
        ("https://me:secret@h:port/a", "not an address"),
    ],
)
def test_what_is_no_address(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_address(text)
    assert "secret" not in str(caught.value)


def test_nothing_is_written_to_an_address() -> None:
    with pytest.raises(UsageError, match=r"s3://b/f.zarr: a feature store cannot be written to an address"):
        local_path("s3://b/f.zarr", what="a feature store")
