"""Files whose headers promise what would fill the memory: one clear reason each, at once."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.support import write_video

from asl_extract.decoding.events import DecodeSettings, Failed, Finished, decode_here

Content = bytearray
SETTINGS = DecodeSettings("pyav", 1, window_frames=16, stride_frames=4, clip_frames=4, resample_fps=30.0)


def put(content: Content, box: bytes, offset: int, *numbers: int) -> None:
    start = content.index(box) + 4 + offset
    content[start : start + 4 * len(numbers)] = struct.pack(f">{len(numbers)}I", *numbers)


def forty_eight_days(content: Content) -> None:
    """Let each of 20 frames stay for 2.4 days."""
    put(content, b"stts", 12, 2**31 - 1)
    for box in (b"mvhd", b"mdhd"):
        put(content, box, 16, 2**31 - 1)
    put(content, b"elst", -4, int.from_bytes(b"free", "big"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: put(content, b"stts", 8, 10**9), "20 frames found, 1000000000 expected"),
        (lambda content: put(content, b"stsz", 8, 10**9), "not a video that can be read"),
        (lambda content: put(content, b"stsz", 4, 1, 10**9), "0 frames found, 20 expected"),
        (forty_eight_days, r"20 frames with time stamps over \d+ s: 1\d{8} frames at 30 a second"),
        (lambda content: put(content, b"avc1", 24, 0xFFFFFFFF), None),  # the codec's own size counts
    ],
    ids=["frames", "sizes", "one size", "duration", "picture"],
)
def test_promises(change: Callable[[Content], None], message: str | None, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", frames=20)
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    *_, (_, end) = decode_here([("v", path)], SETTINGS)
    if message is None:
        assert isinstance(end, Finished)
    else:
        assert isinstance(end, Failed)
        with pytest.raises(type(end.error), match=f"^{path}: {message}"):
            raise end.error
