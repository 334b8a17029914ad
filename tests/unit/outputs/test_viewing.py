from __future__ import annotations

from pathlib import Path

import pytest
from support import write_video

from asl_kit.errors import MissingDependencyError, UsageError
from asl_kit.outputs.viewing import ViewingFiles, place
from asl_kit.predictions import Detections
from asl_kit.video_detections import VideoDetections


@pytest.fixture
def videos(tmp_path: Path) -> list[VideoDetections]:
    found = []
    for name, score in (("day 1/a", 0.9), ("b", 0.6)):
        path = tmp_path / "videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path)
        rows = [(name, number, number + 1.0, "run", score - number / 10) for number in range(4)]
        found.append(VideoDetections(name, path, 4.0, 10.0, 40, {"action": Detections.from_lists(rows)}))
    return found


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.usefixtures("ffmpeg")
def test_a_file_a_video_and_the_surest_clips(videos: list[VideoDetections], tmp_path: Path) -> None:
    folders = {name: tmp_path / "out" / name for name in ("subtitles", "edl", "clips")}
    written = ViewingFiles(**folders, subtitle_format="vtt", min_score=0.55, max_clips=3).write(videos)
    assert files(tmp_path / "out") == [
        "clips/day_1_a_00000.00-00001.00_run.mp4",
        "clips/day_1_a_00001.00-00002.00_run.mp4",
        "clips/day_1_a_00002.00-00003.00_run.mp4",
        "edl/b.edl",
        "edl/day 1/a.edl",
        "subtitles/b.actions.vtt",
        "subtitles/day 1/a.actions.vtt",
    ]
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in written) == files(tmp_path / "out")
    assert (folders["subtitles"] / "b.actions.vtt").read_text() == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nrun 0.60\n"
    assert "004  " in (folders["edl"] / "day 1" / "a.edl").read_text()


def test_nothing_asked_for_writes_nothing(videos: list[VideoDetections]) -> None:
    assert ViewingFiles().write(videos) == []


@pytest.mark.parametrize("name", ["subtitles", "edl", "clips"])
def test_a_file_in_place_of_a_folder_is_refused_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match="x: is a file, expected a folder"):
        ViewingFiles(**{name: tmp_path / "x"})


def test_clips_without_ffmpeg_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ViewingFiles(subtitles=tmp_path)
    with pytest.raises(MissingDependencyError, match="ffmpeg"):
        ViewingFiles(clips=tmp_path)


@pytest.mark.parametrize("video_id", ["../../x", "/etc/x", "a/../../x", "..", "", "x"])
def test_no_file_lies_outside(video_id: str) -> None:
    path = place(Path("/out"), video_id, ".srt")
    assert path.is_relative_to("/out")
    assert ".." not in path.parts
