"""Names of numbered images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.base.image_names import flow_axis, image_kind, series_of, split_number, tar_stem


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


@pytest.mark.parametrize(
    ("name", "series", "axis"),
    [
        ("flow_x_00001.jpg", "flow_x_", (0, "flow_?_")),
        ("flow_y_00001.jpg", "flow_y_", (1, "flow_?_")),
        ("x_1.jpg", "x_", (0, "?_")),
        ("P01-y7.png", "P01-y", (1, "P01-?")),
        ("u/frame_0000000001.jpg", "u/frame_", (0, "?/frame_")),
        ("v/1.jpg", "v/", (1, "?/")),
        ("frame_1.jpg", "frame_", None),
        ("galaxy_1.jpg", "galaxy_", None),
        ("u_1.jpg", "u_", None),
        ("1.jpg", "", None),
    ],
)
def test_axes_of_optical_flow(name: str, series: str, axis: tuple[int, str] | None) -> None:
    found = series_of(name)
    assert found is not None
    assert found[0] == series
    assert flow_axis(series) == axis
