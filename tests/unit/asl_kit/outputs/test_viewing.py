from __future__ import annotations

from pathlib import Path

import pytest
from helpers.support import write_video

from asl_kit.base.console import progress_bar
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.errors import MissingDependencyError, UsageError
from asl_kit.outputs.viewing import ViewingFiles, ViewingWriter


@pytest.fixture
def videos(tmp_path: Path) -> list[VideoDetections]:
    found = []
    for name, score in (("day 1/a", 0.9), ("b", 0.6)):
        path = tmp_path / "videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path)
        rows = [(name, number, number + 1.0, "run", score - number / 10) for number in range(4)]
        tables = DetectionTables({"action": Detections.from_lists(rows)})
        found.append(VideoDetections(name, path, 4.0, 10.0, 40, tables))
    return found


def write(wanted: ViewingFiles, video_ids: list[str], *videos: VideoDetections) -> ViewingWriter:
    writer = ViewingWriter(wanted, video_ids)
    with progress_bar("videos", None) as bar:
        for video in videos:
            writer.write(video, bar)
    return writer


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.usefixtures("ffmpeg")
def test_a_file_per_video_and_the_best_clips(videos: list[VideoDetections], tmp_path: Path) -> None:
    folders = {name: tmp_path / "out" / name for name in ("subtitles", "edl", "clips")}
    ids = [video.video_id for video in videos]
    wanted = ViewingFiles(**folders, subtitle_format="vtt", min_score=0.55, max_clips=3)
    writer = write(wanted, ids, *videos)
    assert not folders["clips"].exists()
    writer.cut_best_clips(videos)
    assert files(tmp_path / "out") == [
        "clips/day_1_a_00000.00-00001.00_run.mp4",
        "clips/day_1_a_00001.00-00002.00_run.mp4",
        "clips/day_1_a_00002.00-00003.00_run.mp4",
        "edl/b.edl",
        "edl/day 1/a.edl",
        "subtitles/b.actions.vtt",
        "subtitles/day 1/a.actions.vtt",
    ]
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in writer.written) == files(tmp_path / "out")
    assert (folders["subtitles"] / "b.actions.vtt").read_text() == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nrun 0.60\n"
    assert "004  " in (folders["edl"] / "day 1" / "a.edl").read_text()


def test_nothing_asked_for_writes_nothing(videos: list[VideoDetections]) -> None:
    assert write(ViewingFiles(), ["b"], videos[1]).written == []


@pytest.mark.parametrize("name", ["subtitles", "edl", "clips"])
def test_a_file_in_place_of_a_folder_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match="x: is a file, expected a folder"):
        ViewingFiles(**{name: tmp_path / "x"})


def test_clips_without_ffmpeg_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ViewingFiles(subtitles=tmp_path)
    with pytest.raises(MissingDependencyError, match="ffmpeg"):
        ViewingFiles(clips=str(tmp_path))


@pytest.mark.usefixtures("ffmpeg")
def test_what_cannot_be_written_is_told_and_the_rest_is_there(videos: list[VideoDetections], tmp_path: Path) -> None:
    (tmp_path / "edl").mkdir()
    (tmp_path / "edl" / "b.edl").mkdir()
    videos[1].path.write_bytes(b"no longer a video")
    folders = {name: tmp_path / name for name in ("subtitles", "edl", "clips")}
    writer = write(ViewingFiles(**folders, min_score=0.55), ["b"], videos[1])
    assert writer.written == [tmp_path / "subtitles" / "b.actions.srt"]
    first, second = writer.failures
    assert first.startswith(str(tmp_path / "edl" / "b.edl"))
    assert "b.mp4, 0.00 s to 1.00 s: ffmpeg: " in second
    assert files(tmp_path / "clips") == []


@pytest.mark.usefixtures("ffmpeg")
def test_names_that_are_one_file_elsewhere_are_kept_apart(tmp_path: Path) -> None:
    rows = [(1.0, 2.0, "Run", 0.9), (1.0, 2.0, "run", 0.8), (1.0, 2.0, "r/n", 0.7), (1.0, 2.0, "r n", 0.6)]
    wanted = ViewingFiles(edl=tmp_path / "edl", clips=tmp_path / "clips")
    path = write_video(tmp_path / "v.mp4")
    for name in ("a", "A"):
        table = Detections.from_lists([(name, *row) for row in rows])
        write(wanted, ["A", "a"], VideoDetections(name, path, 4.0, 10.0, 40, DetectionTables({"action": table})))
    assert files(tmp_path / "edl") == ["A.edl", "a_2.edl"]
    times = "00001.00-00002.00"
    assert files(tmp_path / "clips") == [
        f"{name}_{times}_{label}.mp4" for name in ("A", "a_2") for label in ("Run", "r_n", "r_n_2", "run_2")
    ]
