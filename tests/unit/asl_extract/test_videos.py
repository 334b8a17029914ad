"""Which files are videos, under which ids, and in which shard."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl_extract.videos import VideoFile, find_videos, parse_shard, restrict, take_shard
from asl_kit.errors import MissingFileError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.MKV", "sub/c d.webm", "sub/é.avi", "notes.txt", ".hidden.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def test_folders_are_searched(folder: Path) -> None:
    assert find_videos([folder]) == [
        VideoFile("a", folder / "a.MKV"),
        VideoFile("b", folder / "b.mp4"),
        VideoFile("c d", folder / "sub" / "c d.webm"),
        VideoFile("é", folder / "sub" / "é.avi"),
    ]


def test_a_file_is_taken_whatever_its_suffix(folder: Path) -> None:
    assert find_videos([folder / "notes.txt"]) == [VideoFile("notes", folder / "notes.txt")]


def test_a_file_named_twice_is_one_video(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert [video.video_id for video in find_videos([folder, Path("b.mp4")])] == ["a", "b", "c d", "é"]


def test_links_keep_their_own_name(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "sub" / "linked.mp4"
    link.symlink_to(folder / "b.mp4")
    assert VideoFile("linked", link) in find_videos([folder])


def test_two_files_with_one_id(folder: Path) -> None:
    (folder / "sub" / "b.avi").touch()
    with pytest.raises(UsageError, match=r"two videos with the id 'b': .*b\.mp4 and .*sub/b\.avi") as caught:
        find_videos([folder])
    assert caught.value.hint == "a video's id is its file name without the suffix; rename one of them"


def test_no_videos(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"no videos found in {tmp_path}") as caught:
        find_videos([tmp_path])
    assert ".mp4" in str(caught.value.hint)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="nowhere: no such file or folder"):
        find_videos([tmp_path / "nowhere"])


def test_restrict(folder: Path) -> None:
    kept, missing = restrict(find_videos([folder]), {"b", "z", "é", "x"})
    assert [video.video_id for video in kept] == ["b", "é"]
    assert missing == ["x", "z"]


def test_shards_part_the_videos(folder: Path) -> None:
    videos = find_videos([folder])
    shards = [take_shard(videos, parse_shard(f"{index}/3")) for index in (1, 2, 3)]
    assert [[video.video_id for video in shard] for shard in shards] == [["a", "é"], ["b"], ["c d"]]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/", "/2", "a/b", "-1/2", "1/0", ""])
def test_shards_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="is not I/N with I from 1 to N"):
        parse_shard(text)
