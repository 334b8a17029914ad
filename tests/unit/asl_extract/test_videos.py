"""Which files are videos, under which ids, and in which shard."""

from __future__ import annotations

import errno
import os
import tarfile
from pathlib import Path

import pytest

from asl_extract.videos import VideoFile, find_videos, parse_shard, select_videos
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
    assert (
        caught.value.hint
        == "a video's id is its file name without the suffix, or its folder's name; rename one of them"
    )


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a/x.mp4", "b/y.mp4"], ["x", "y"]),
        (["a/x.mp4", "b/x.mp4", "b/y.mp4"], ["a/x", "b/x", "y"]),
        (["a/x.mp4", "a/x.avi"], ["x.avi", "x.mp4"]),
        (["a/x.mp4", "b/x.avi"], ["a/x", "b/x"]),
        (["1/cam/x.mp4", "2/cam/x.mp4", "2/x.mp4"], ["1/cam/x", "2/cam/x", "TOP/2/x"]),
        (["a/x.mp4", "a/x.avi", "b/x.mp4"], ["a/x.avi", "a/x.mp4", "b/x.mp4"]),
        (["a/x.mp4", "a/x.avi", "x.mp4.mkv"], ["a/x.avi", "a/x.mp4", "x.mp4"]),
    ],
    ids=["no need", "folders", "suffixes", "folders first", "as many as needed", "both", "an id that is taken"],
)
def test_same_names_are_told_apart(names: list[str], ids: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_videos([tmp_path], same_names=True)
    assert [video.video_id for video in found] == [name.replace("TOP", tmp_path.name) for name in ids]
    assert {video.path for video in found} == {tmp_path / name for name in names}


@pytest.mark.parametrize(
    ("pattern", "ids"),
    [
        ("*.mp4", ["b"]),
        ("*.M?V", ["a"]),
        ("**/*.webm", ["c d"]),
        ("s*", ["c d", "é"]),
        ("[an]*", ["a", "notes"]),
    ],
)
def test_patterns(pattern: str, ids: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert [video.video_id for video in find_videos([pattern])] == ids


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "[b].mp4").touch()
    assert [video.video_id for video in find_videos([folder / "[b].mp4"])] == ["[b]"]


def test_pattern_without_files(folder: Path) -> None:
    with pytest.raises(MissingFileError, match=r"\*\.mov: no file or folder fits this pattern"):
        find_videos([folder / "*.mov"])


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    videos, elsewhere = tmp_path / "videos", tmp_path / "elsewhere"
    for path in (videos / "deep" / "own.mp4", elsewhere / "linked.mp4"):
        path.parent.mkdir(parents=True)
        path.touch()
    (videos / "a link").symlink_to(elsewhere)
    (videos / "another link").symlink_to(elsewhere)
    (videos / "a link to a sibling").symlink_to(videos / "deep")
    (videos / "deep" / "loop").symlink_to(videos)
    assert find_videos([videos]) == [
        VideoFile("linked", videos / "a link" / "linked.mp4"),
        VideoFile("own", videos / "deep" / "own.mp4"),
    ]


def test_what_cannot_be_read_is_found_all_the_same(folder: Path) -> None:
    (folder / "nothing.mp4").symlink_to(folder / "gone.mp4")
    (folder / "itself.mp4").symlink_to(folder / "itself.mp4")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "a folder.mp4").mkdir()
    (folder / "a folder.mp4" / "inside.mp4").touch()
    ids = [video.video_id for video in find_videos([folder])]
    assert ids == ["a", "b", "c d", "inside", "itself", "nothing", "pipe", "é"]


def test_names_are_ids_letter_for_letter(tmp_path: Path) -> None:
    names = ["-y", "100%", "a\nb", 'it\'s "so"', "take:1", "v.1", "übung 日本"]
    for name in names:
        (tmp_path / f"{name}.mp4").touch()
    videos = find_videos([tmp_path])
    assert [video.video_id for video in videos] == sorted(names)
    for video in videos:
        assert video.id_fault is None


def test_a_link_beside_its_target_with_the_same_id_is_one_video(folder: Path) -> None:
    (folder / "sub" / "b.mp4").symlink_to(folder / "b.mp4")
    assert VideoFile("b", folder / "b.mp4") in find_videos([folder])


def test_folder_that_may_not_be_searched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests may run as root, who may search everything: the refusal is the operating system's own, played back.
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UsageError, match=r"sub: this folder cannot be searched: Permission denied"):
        find_videos([folder])


def test_no_videos(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"no videos found in {tmp_path}") as caught:
        find_videos([tmp_path])
    assert ".mp4" in str(caught.value.hint)


@pytest.mark.parametrize("suffix", ["3G2", "MTS", "asf", "divx", "dv", "f4v", "mpe", "ogm", "ogv", "qt", "rm", "rmvb"])
def test_suffixes_of_videos(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"clip.{suffix}").touch()
    assert [file.video_id for file in find_videos([tmp_path])] == ["clip"]


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="nowhere: no such file or folder"):
        find_videos([tmp_path / "nowhere"])
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(
        MissingFileError, match=r"link: no such file or folder: the link points to .*gone, which leads nowhere"
    ):
        find_videos([tmp_path / "link"])


def test_listed_videos(folder: Path) -> None:
    files, missing = select_videos([folder], listed={"b", "z", "é", "x"})
    assert [file.video_id for file in files] == ["b", "é"]
    assert missing == ["x", "z"]
    with pytest.raises(UsageError, match=r"none of the videos is in list\.json"):
        select_videos([folder], listed={"z"}, list_name="list.json")


def test_shards_part_the_videos(folder: Path) -> None:
    shards = [select_videos([folder], shard=f"{index}/3")[0] for index in (1, 2, 3)]
    assert [[file.video_id for file in shard] for shard in shards] == [["a", "é"], ["b"], ["c d"]]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/", "/2", "a/b", "-1/2", "1/0", ""])
def test_shards_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="is not I/N with I from 1 to N"):
        parse_shard(text)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Return a collection: two folders of images and a tar."""
    for name in ("P01_01/frame_0000000001.jpg", "P01_01/frame_0000000002.jpg", "P01.2/0.png", "P01.2/Thumbs.db"):
        path = tmp_path / "frames" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with tarfile.open(tmp_path / "frames" / "P01_03.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("./frame_0000000001.jpg"))
    with tarfile.open(tmp_path / "frames" / "scripts.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("run.py"))
    return tmp_path / "frames"


def test_images_are_videos(frames: Path) -> None:
    expected = {"P01.2": frames / "P01.2", "P01_01": frames / "P01_01", "P01_03": frames / "P01_03.tar"}
    assert {file.video_id: file.path for file in find_videos([frames])} == expected
    assert [file.video_id for file in find_videos([frames / "P01.2", frames / "*_0?*"])] == list(expected)


def test_the_current_folder_has_a_name(frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(frames / "P01_01")
    assert [file.video_id for file in find_videos(["."])] == ["P01_01"]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a.mp4", "a1.jpg", "a2.jpg"], ["a"]),  # thumbnails beside videos
        (["poster1.jpg", "monday/a.mp4"], ["a"]),
        (["cover.jpg", "P/1.jpg", "P/masks/readme.txt"], ["P"]),
        (["P/1.jpg", "P/.thumbnails/1.jpg", "P/.thumbnails/small/1.jpg"], ["P"]),
        (["a.mp4", ".Trash-1000/files/a.mp4", ".sync/c.tar"], ["a"]),
        (["a.mp4", "notes/scan.png"], ["a"]),
        (["P/u/1.jpg", "P/v/1.jpg", "Q/u/1.jpg", "Q/v/1.jpg", "R/1.jpg"], ["P", "Q", "R"]),  # optical flow
        (["u/1.jpg", "v/readme.txt"], ["u"]),
    ],
)
def test_which_folders_are_videos(tmp_path: Path, names: list[str], ids: list[str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [file.video_id for file in find_videos([tmp_path])] == ids


def test_images_beside_folders_of_images(tmp_path: Path) -> None:
    for name in ("P/1.jpg", "P/flow/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"P: holds images and, in .*P/flow, the images of another video"):
        find_videos([tmp_path])


def test_a_folder_of_flow_by_its_own_name(tmp_path: Path) -> None:
    for name in ("P/u/1.jpg", "P/v/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert find_videos([tmp_path / "P"]) == find_videos([tmp_path]) == [VideoFile("P", tmp_path / "P")]


def test_a_video_and_its_frames_have_one_id(frames: Path) -> None:
    (frames / "P01_01.mp4").touch()
    with pytest.raises(UsageError, match=r"two videos with the id 'P01_01': .*P01_01 and .*P01_01\.mp4|mp4 and"):
        find_videos([frames])
    ids = [file.video_id for file in find_videos([frames], same_names=True)]
    assert ids == ["P01.2", "P01_03", "frames/P01_01", "frames/P01_01.mp4"]


def test_an_image_is_not_a_video(frames: Path) -> None:
    with pytest.raises(UsageError, match=r"frame_0000000001\.jpg: an image, not a video") as caught:
        find_videos([frames / "P01_01" / "*.jpg"])
    assert caught.value.hint == f"name its folder: {frames / 'P01_01'}"


def test_frame_rates_of_images(frames: Path, tmp_path: Path) -> None:
    (tmp_path / "frames" / "a.mp4").touch()
    rates = {"P01_01": 50.0, "P01.2": 59.94, "P01_03": 50.0, "a": 25.0}
    files, _ = select_videos([frames / "a.mp4", frames / "P*"], frame_rates=rates)
    assert {file.video_id: file.image_fps for file in files} == rates | {"a": None}
    files, _ = select_videos([frames / "P*"], frame_rates=rates, image_fps=10.0)
    assert {file.image_fps for file in files} == {10.0}
    with pytest.raises(
        UsageError, match=r"the frame rate of video 'P01_01' is not known: its frames are images"
    ) as caught:
        select_videos([frames / "P*"], frame_rates=rates | {"P01_01": None})
    assert "--image-fps" in (caught.value.hint or "")
