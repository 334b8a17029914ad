"""Names of numbered images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.base.image_names import image_kind, split_number, tar_stem


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("frame_1.jpg", "JPEG"),
        ("frame_1.JPEG", "JPEG"),
        ("1.png", "PNG"),
        ("1.bmp", "BMP"),
        ("1.webp", "WebP"),
        (".1.jpg", None),
        ("._frame_1.jpg", None),
        ("Thumbs.db", None),
        ("1.mp4", None),
        ("jpg", None),
    ],
)
def test_kind(name: str, kind: str | None) -> None:
    assert image_kind(name) == kind


@given(
    prefix=st.text(max_size=20).filter(lambda text: not (text[-1:].isascii() and text[-1:].isdigit())),
    number=st.integers(min_value=0, max_value=10**18 - 1),
    width=st.integers(min_value=1, max_value=18),
    suffix=st.sampled_from([".jpg", ".PNG"]),
)
def test_a_number_is_read_whatever_its_width(prefix: str, number: int, width: int, suffix: str) -> None:
    if "/" not in prefix:
        assert split_number(f"{prefix}{number:0{width}d}{suffix}") == (prefix, number)


@pytest.mark.parametrize("name", ["cover.jpg", "frame_1_rgb.jpg", "frame_١.jpg", ".jpg"])
def test_no_number(name: str) -> None:
    assert split_number(name) is None


@pytest.mark.parametrize(
    ("name", "stem"),
    [("P01_01.tar", "P01_01"), ("P01.2.TAR.GZ", "P01.2"), ("a.tgz", "a"), ("a.gz", None), ("tar", None)],
)
def test_tar_stem(name: str, stem: str | None) -> None:
    assert tar_stem(name) == stem
