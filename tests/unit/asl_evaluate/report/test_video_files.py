from __future__ import annotations

import os
from pathlib import Path

import pytest

from asl_evaluate.report.video_files import address, find_video_files
from asl_kit.errors import MissingFileError, UsageError


def test_the_annotated_path_goes_before_the_name(tmp_path: Path) -> None:
    for name in ("a.mp4", "deep/b.MKV", "deep/a.mp4", "own/x.webm", "c.txt", "d.e.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    paths = {"a": None, "b": "gone.mp4", "c": None, "x1": "own/x.webm", "d.e": None}
    paths |= {"deep/a": None, "a.mp4": None, "eep/a": None, f"{tmp_path.name}/deep/b": None}
    found = find_video_files(tmp_path, paths)
    assert {name: str(path.relative_to(tmp_path)) for name, path in found.items()} == {
        "a": "a.mp4",
        "b": "deep/b.MKV",
        "x1": "own/x.webm",
        "d.e": "d.e.mp4",
        "deep/a": "deep/a.mp4",
        "a.mp4": "a.mp4",
        f"{tmp_path.name}/deep/b": "deep/b.MKV",
    }


def test_a_folder_without_any_of_the_videos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.mp4").touch()
    with pytest.raises(UsageError, match="none of the 1 videos has a file here") as fault:
        find_video_files(tmp_path, {"a": None})
    assert "(a.mp4)" in str(fault.value.hint)
    with pytest.raises(MissingFileError, match="gone: no such folder"):
        find_video_files(tmp_path / "gone", {"a": None})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("videos/a.mp4", "../videos/a.mp4"),
        ("pages/a.mp4", "a.mp4"),
        ("videos/a b#1?.mp4", "../videos/a%20b%231%3F.mp4"),
        ("pages/javascript:alert(1).mp4", "javascript%3Aalert%281%29.mp4"),
        ('videos/"<é>.mp4', "../videos/%22%3C%C3%A9%3E.mp4"),
        (os.fsdecode(b"videos/\xff.mp4"), "../videos/%FF.mp4"),
    ],
)
def test_an_address_is_relative_to_the_page(name: str, expected: str, tmp_path: Path) -> None:
    assert address(tmp_path / name, tmp_path / "pages" / "report.html") == expected


@pytest.mark.parametrize("name", ["P01_01/frame_1.jpg", "P01_01.tar", "P01_01.tar.gz"])
def test_videos_of_images_have_no_file_to_play(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert find_video_files(tmp_path, {"P01_01": None, "P01_02": None}) == {}
    with pytest.raises(UsageError, match="none of the 1 videos has a file here"):
        find_video_files(tmp_path, {"P01_02": None})
