"""Video ids as folder names: a percent-encoding without collisions that cannot leave its folder."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from asl_kit.errors import StoreError

MAX_NAME_BYTES = 255  # of one path component, on every common file system


def encode_id(video_id: str) -> str:
    """Return the name under which a video is stored.

    Letters, digits and ``_.-~`` are kept; every other UTF-8 byte becomes ``%XX``.
    A leading ``.`` or ``__`` (hidden files, ``..``, names that Zarr reserves)
    and the name ``zarr.json`` are escaped too. No two ids share a name, and no
    name contains a path separator.

    Raises
    ------
    StoreError
        If the id is empty, is not Unicode text, or is too long for a file name.

    Examples
    --------
    >>> encode_id("P01/P01_01 é"), encode_id(".."), encode_id("video_test_0000004")
    ('P01%2FP01_01%20%C3%A9', '%2E.', 'video_test_0000004')
    """
    if not video_id:
        raise StoreError("a video id is empty", hint="give every video a name")
    try:
        name = quote(video_id, safe="")
    except UnicodeEncodeError:
        raise StoreError(f"video id {video_id!r} is not Unicode text", hint="rename the file") from None
    if name.startswith("."):
        name = "%2E" + name[1:]
    elif name.startswith("__"):
        name = "%5F" + name[1:]
    elif name == "zarr.json":
        name = "zarr%2Ejson"
    if len(name) > MAX_NAME_BYTES:
        raise StoreError(
            f"video id {video_id[:40]!r}... takes {len(name)} bytes as a file name, at most {MAX_NAME_BYTES} fit",
            hint="shorten the id; each byte that is not an ASCII letter or digit takes three",
        )
    return name


def decode_id(name: str) -> str | None:
    """Return the id that `encode_id` turns into `name`, or None if there is no such id."""
    try:
        video_id = unquote_to_bytes(name).decode("utf-8")
        return video_id if encode_id(video_id) == name else None
    except (StoreError, UnicodeError):
        return None
