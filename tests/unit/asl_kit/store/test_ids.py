from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asl_kit.errors import StoreError
from asl_kit.store import decode_id, encode_id


@pytest.mark.parametrize(
    ("video_id", "name"),
    [
        pytest.param("video_test_0000004", "video_test_0000004", id="plain"),
        pytest.param("v_-0b1.x~", "v_-0b1.x~", id="unreserved punctuation"),
        pytest.param("P01/P01_01", "P01%2FP01_01", id="slash"),
        pytest.param("a b", "a%20b", id="space"),
        pytest.param("100%", "100%25", id="percent"),
        pytest.param("é走", "%C3%A9%E8%B5%B0", id="unicode"),
        pytest.param(".", "%2E", id="dot"),
        pytest.param("..", "%2E.", id="dot dot"),
        pytest.param("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd", id="climbs out"),
        pytest.param("/etc/passwd", "%2Fetc%2Fpasswd", id="absolute"),
        pytest.param("a\\b", "a%5Cb", id="backslash"),
        pytest.param(".hidden", "%2Ehidden", id="hidden file"),
        pytest.param("__zarr", "%5F_zarr", id="reserved by Zarr"),
        pytest.param("zarr.json", "zarr%2Ejson", id="the group's own metadata"),
        pytest.param("a\x00\n", "a%00%0A", id="control characters"),
        pytest.param("x" * 255, "x" * 255, id="as long as can be"),
    ],
)
def test_encodes(video_id: str, name: str) -> None:
    assert encode_id(video_id) == name
    assert decode_id(name) == video_id


@pytest.mark.parametrize(
    ("video_id", "message"),
    [
        pytest.param("", "id is empty", id="empty"),
        pytest.param("x" * 256, "takes 256 bytes as a file name, at most 255", id="too long"),
        pytest.param("走" * 29, "takes 261 bytes", id="too long once encoded"),
        pytest.param("a\udcff", "not Unicode text", id="undecodable file name"),
    ],
)
def test_refuses(video_id: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        encode_id(video_id)


@pytest.mark.parametrize("name", ["", "a b", "%2e", "%zz", "%41", ".", "..", "zarr.json", ".DS_Store", "%FF", "a/b"])
def test_a_name_that_no_id_has_decodes_to_none(name: str) -> None:
    assert decode_id(name) is None


ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
troublesome = st.text(st.sampled_from("./%_2EeZzarjson5F~ \\"), min_size=1, max_size=12)


@given(ids | troublesome, ids | troublesome)
@example("zarr.json", "zarr%2Ejson")
@example("..", "%2E.")
@example("__", "%5F_")
def test_is_a_bijection_onto_names_that_stay_in_their_folder(one: str, other: str) -> None:
    name = encode_id(one)
    assert decode_id(name) == one
    assert (name == encode_id(other)) == (one == other)
    assert PurePosixPath(name).name == name
    assert name not in (".", "..", "zarr.json")
    assert not name.startswith((".", "__"))


@given(troublesome)
def test_every_name_that_decodes_is_the_encoding_of_its_id(name: str) -> None:
    video_id = decode_id(name)
    assert video_id is None or encode_id(video_id) == name
