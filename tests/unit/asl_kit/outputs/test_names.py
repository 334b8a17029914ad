"""Names of files hold on every system: nothing is refused, nothing leads outside, nothing overwrites another."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.outputs.names import safe_part, safe_path, unique_names

IDS = st.text(st.sampled_from("aAbéE\u0301ßsS/.\\ :?*1_conCON~\x07\n"), max_size=8)


@pytest.mark.parametrize(
    ("video_id", "path"),
    [
        ("x", "x"),
        ("../../x", "x"),
        ("/etc/x", "etc/x"),
        ("a/../../x", "a/x"),
        ("..", "_"),
        ("", "_"),
        (r"..\..\x", ".._.._x"),
        ("C:/x", "C_/x"),
        ("con", "con_"),
        ("LPT1.mp4", "LPT1_.mp4"),
        ("aux/nul.a.b", "aux_/nul_.a.b"),
        ("console", "console"),
        ("x. .", "x"),
        ("...", "_"),
        ("day. /x ", "day/x"),
        ("what?: <1>", "what_ _1_"),
        ("走る" * 50, "走る" * 33),
    ],
)
def test_by_hand(video_id: str, path: str) -> None:
    assert safe_path(video_id) == path


@given(IDS)
def test_windows_takes_every_name(video_id: str) -> None:
    path = PurePosixPath(safe_path(video_id) + ".edl")
    assert not path.is_absolute()
    assert PureWindowsPath(str(path)).parts == path.parts
    for part in path.parts:
        assert part == part.strip(" ").rstrip(".")
        assert not set(part) & set('<>:"\\|?*\n\x07')
        assert part.split(".")[0].rstrip(" ").lower() not in ("con", "prn", "aux", "nul", "com1", "lpt9")


@given(st.sets(IDS, max_size=12), st.randoms())
def test_no_two_are_one_file(ids: set[str], random) -> None:
    names = unique_names(ids, safe_path)
    assert names.keys() == ids
    compared = {unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()) for name in names.values()}
    assert len(compared) == len(ids)
    shuffled = list(ids)
    random.shuffle(shuffled)
    assert unique_names(shuffled, safe_path) == names


def test_numbers() -> None:
    assert unique_names(["a", "A", "a_2", "b"], safe_part) == {"A": "A", "a": "a_2", "a_2": "a_2_2", "b": "b"}
