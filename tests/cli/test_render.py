"""`asl-kit render`: what `predict` would have written, from a file of detections."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest
from click.testing import Result
from helpers.command_line import run
from helpers.support import write_video

from asl_extract.decoders.probe import probe
from asl_kit.base.console import progress_bar
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.outputs.file_start import read_start
from asl_kit.outputs.table import write_detections
from asl_kit.outputs.viewing import ViewingFiles, ViewingWriter

ROWS = [(0.5, 1.5, "run", 0.9), (2.0, 3.0, "jump", 0.5), (0.0, 4.0, "run", 0.2)]
VIEWS = {"subtitles": Path("out/subtitles"), "edl": Path("out/edl"), "clips": Path("out/clips")}
ALL = [word for name, folder in VIEWS.items() for word in (f"--{name}", str(folder))]


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[VideoDetections]:
    """Write two videos and a file of what was found in them, and go there."""
    monkeypatch.chdir(tmp_path)
    videos = []
    for name, fps in (("a", 10), ("day 1/b", 25)):
        path = Path("videos") / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, fps=fps, frames=4 * fps)
        table = Detections.from_lists([(name, *row) for row in ROWS])
        videos.append(VideoDetections(name, path, 4.0, fps, 4 * fps, DetectionTables({"action": table})))
    write_detections(Path("d.json"), videos)
    write_detections(Path("d.csv"), videos)
    return videos


def render(*arguments: object) -> Result:
    return run("render", *arguments)


def contents(folder: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.usefixtures("ffmpeg")
@pytest.mark.parametrize("name", ["d.json", "d.csv"])
def test_it_writes_what_predict_writes(found: list[VideoDetections], name: str) -> None:
    result = render(name, "videos", *ALL, "--min-score", 0.4)
    assert (result.exit_code, result.exception) == (0, None), result.output
    rendered = contents("out")
    assert len(rendered) == 8
    assert sorted(result.stdout.splitlines()) == sorted(f"out/{name}" for name in rendered)
    writer = ViewingWriter(ViewingFiles(**VIEWS, min_score=0.4), [video.video_id for video in found])
    with progress_bar("videos", None) as bar:
        for video in found:
            writer.write(video, bar)
    assert not writer.failures
    assert contents("out") == rendered


@pytest.mark.usefixtures("found", "ffmpeg")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--min-score", 0.6], {"a_00000.50-00001.50_run", "day_1_b_00000.50-00001.50_run"}),
        (["--class", "jump"], {"a_00002.00-00003.00_jump", "day_1_b_00002.00-00003.00_jump"}),
        (["--max-clips", 1], {"a_00000.50-00001.50_run"}),
        (["--class", "jump", "--class", "run", "--min-score", 0.95], set()),
    ],
    ids=["score", "class", "best", "nothing"],
)
def test_which_clips(arguments: list[Any], expected: set[str]) -> None:
    result = render("d.json", "videos/a.mp4", "videos/day*", "--clips", "out", *arguments)
    assert result.exit_code == 0, result.output
    assert {path.stem for path in Path("out").rglob("*.mp4")} == expected


@pytest.mark.usefixtures("found")
def test_a_video_without_a_file_is_named_and_the_others_are_done() -> None:
    document = json.loads(Path("d.json").read_text())
    document["results"] |= {"gone": [], "bad": []}
    Path("others.json").write_text(json.dumps(document | {"version": "1.3"}))
    Path("videos/bad.mp4").write_bytes(b"no video")
    result = render("others.json", "videos", "--subtitles", "out")
    assert result.exit_code == 1
    assert sorted(contents("out")) == ["a.actions.srt", "day 1/b.actions.srt"]
    first, second, third = result.stderr.splitlines()[-3:]
    assert first == "error: 2 of 4 videos failed"
    assert second == "  gone: no file of this name"
    assert third.startswith("  videos/bad.mp4: not a video that can be read")


@pytest.mark.usefixtures("found")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["d.json", "videos"], 2, "nothing to write: give --subtitles DIR, --edl DIR or --clips DIR"),
        (["d.json", "--edl", "out"], 2, "Missing argument 'VIDEO_OR_DIR...'"),
        (["gone.csv", "videos", "--edl", "out"], 2, "gone.csv: no such file"),
        (["d.json", "gone", "--edl", "out"], 2, "gone: no such file or folder"),
        (["d.json", "videos", "--edl", "out", "--max-clips", 1], 2, "--max-clips without --clips DIR"),
        (["d.json", "videos", "--edl", "out", "--class", "fly"], 2, "no detection of class 'fly'\nhint: classes: jump"),
        (["d.json", "videos", "--edl", "out", "--class", "JUMP"], 2, "hint: did you mean 'jump'? classes: jump"),
        (["d.json", "other", "--edl", "out"], 2, "none of the 2 videos has a file among the 1 that were found"),
        (["videos/a.mp4", "videos", "--edl", "out"], 1, "videos/a.mp4: not a JSON file"),
    ],
    ids=[
        "nothing",
        "no videos",
        "no file",
        "no folder",
        "max clips",
        "class",
        "class in capitals",
        "other videos",
        "no detections",
    ],
)
def test_what_is_wrong_is_said_before_the_work(arguments: list[object], code: int, message: str) -> None:
    Path("other").mkdir()
    Path("other/c.mp4").write_bytes(b"x")
    result = render(*arguments)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])  # .ts has no index: a seek may end behind a key frame
def test_sound_that_starts_earlier_moves_subtitles_and_clips(
    ffmpeg: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = write_video(tmp_path / "plain.mp4", fps=10, frames=40)
    video = tmp_path / f"v{suffix}"
    sources = ["-itsoffset", "1", "-i", str(plain), "-f", "lavfi", "-i", "sine=duration=5"]
    subprocess.run(
        [ffmpeg, "-v", "error", *sources, "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", str(video)],
        check=True,
    )
    gap_s = read_start(video).gap_s
    assert gap_s == pytest.approx(1.0, abs=0.05)  # and the sound's own delay
    assert probe(video).frame_count == 40
    Path("d.csv").write_text("video,start,end,label,score\nv,0,1,run,0.9\nv,2,3,run,0.8\n", encoding="utf-8")
    result = render("d.csv", video, *ALL)
    assert result.exit_code == 0, result.output
    first_ms, second_ms = round(1000 * gap_s), round(1000 * (gap_s + 2))
    assert Path("out/subtitles/v.actions.srt").read_text().splitlines()[1::4] == [
        f"00:00:0{ms // 1000},{ms % 1000:03} --> 00:00:0{ms // 1000 + 1},{ms % 1000:03}" for ms in (first_ms, second_ms)
    ]
    assert " 00:00:02:00 00:00:03:00 " in Path("out/edl/v.edl").read_text()  # frames of the picture
    wanted = read_frames(plain)
    for start_s in (0, 2):
        clip = read_frames(tmp_path / f"out/clips/v_0000{start_s}.00-0000{start_s + 1}.00_run.mp4")
        nearest = [min(range(40), key=lambda index: abs(wanted[index] - frame).mean()) for frame in clip]
        assert nearest == list(range(10 * start_s, 10 * start_s + 10))


def read_frames(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]
