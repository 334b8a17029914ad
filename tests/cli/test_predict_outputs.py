"""What `asl-kit predict` writes beside the JSON: table, subtitles, edit decision lists, clips and a report."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pysubs2
import pytest
from click.testing import Result
from helpers import command_line
from helpers.support import write_video

from asl_extract.videos import VideoFile
from asl_kit.cli.predict import predict
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import MIN_SCORE, Detections, DetectionTables
from asl_kit.errors import AslKitError, VideoError
from asl_kit.prediction import predict_videos

ALL = "--subtitles out/subtitles --edl out/edl --clips out/clips --report out/report.html"


class Model:
    """Finds the same three actions in each video, and reads no file; "bad" fails, "stop" and "full" end it."""

    notes: tuple[str, ...] = ()

    def detect_all(
        self, files: Sequence[VideoFile], **_: Any
    ) -> Iterator[tuple[VideoFile, VideoDetections | AslKitError]]:
        for number, file in enumerate(files):
            if file.video_id == "stop":
                raise KeyboardInterrupt
            if file.video_id == "full":
                raise AslKitError("the disk is full")
            if file.video_id == "bad":
                yield file, VideoError(f"{file.path}: no video")
                continue
            name = file.video_id
            rows = [(0.5, 1.5, "run", 0.9), (2.0, 3.0, "jump", 0.5), (0.0, 4.0, "run", 0.2)]
            table = Detections.from_lists([(name, *row[:3], row[3] - number / 100) for row in rows])
            yield file, VideoDetections(name, file.path, 4.0, 10.0, 40, DetectionTables({"action": table}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(predict_videos, "load_model", lambda *_, **__: Model())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    for name in ("a", "b"):
        write_video(tmp_path / "videos" / f"{name}.mp4")
    return tmp_path


def run(arguments: str, output: str = "out/d.json") -> Result:
    return command_line.run(f"predict videos --checkpoint m.ckpt -o {output} {arguments}")


def files() -> list[str]:
    return sorted(str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file())


@pytest.mark.usefixtures("folder", "ffmpeg")
def test_all_at_once() -> None:
    result = run(f"{ALL} --max-clips 3")
    assert (result.exit_code, result.exception) == (0, None), result.output
    assert files() == [
        "clips/a_00000.50-00001.50_run.mp4",
        "clips/a_00002.00-00003.00_jump.mp4",
        "clips/b_00000.50-00001.50_run.mp4",
        "d.json",
        "edl/a.edl",
        "edl/b.edl",
        "report.html",
        "subtitles/a.actions.srt",
        "subtitles/b.actions.srt",
    ]
    assert sorted(line for line in result.stdout.splitlines() if line.startswith("out/")) == [
        f"out/{name}" for name in files()
    ]
    subtitles = pysubs2.load("out/subtitles/b.actions.srt")
    assert [(each.start, each.end, each.text) for each in subtitles] == [
        (500, 1500, "run 0.89"),
        (2000, 3000, "jump 0.49"),
    ]
    text = Path("out/report.html").read_text(encoding="utf-8")
    assert '"file":"../videos/a.mp4"' in text
    assert '"duration":4.0' in text
    assert "at_least" not in text.split('id="timeline-data"')[1].split("</script>")[0]


@pytest.mark.usefixtures("folder")
def test_a_table_holds_all_whatever_the_least_score() -> None:
    result = run("--min-score 0.6 --subtitles out/s --subtitle-format vtt", "out/d.csv")
    assert result.exit_code == 0, result.output
    with Path("out/d.csv").open(encoding="utf-8", newline="") as file:
        assert [(row["video"], row["label"]) for row in csv.DictReader(file)] == [
            *(("a", "run"), ("a", "jump"), ("a", "run")),
            *(("b", "run"), ("b", "jump"), ("b", "run")),
        ]
    assert Path("out/s/a.actions.vtt").read_text() == "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nrun 0.90\n"


@pytest.mark.usefixtures("ffmpeg")
@pytest.mark.parametrize(
    ("name", "code", "message"),
    [("stop", 130, "their detections are in out/d.json"), ("full", 1, "error: the disk is full")],
    ids=["Ctrl-C", "failure"],
)
@pytest.mark.parametrize("max_clips", ["", "--max-clips 2"], ids=["all clips", "the best"])
def test_what_was_found_until_then_is_written(name: str, code: int, message: str, max_clips: str, folder: Path) -> None:
    write_video(folder / "videos" / f"{name}.mp4")
    result = run(f"{ALL} {max_clips}")
    assert result.exit_code == code
    assert "2 of 3 videos are done" in result.stderr
    assert message in result.stderr
    clips = [] if max_clips else ["clips"] * 4
    assert [name.split("/")[0] for name in files()] == [
        *(*clips, "d.json", "edl", "edl", "report.html", "subtitles", "subtitles")
    ]
    assert sorted(line for line in result.stdout.splitlines() if line.startswith("out/")) == [
        f"out/{name}" for name in files()
    ]


@pytest.mark.usefixtures("ffmpeg")
def test_a_videos_files_are_there_before_the_next_video(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Watched(Model):
        def detect_all(self, files_: Sequence[VideoFile], **_: Any) -> Iterator[Any]:
            for result in super().detect_all(files_):
                yield result
                seen.append(len(files()))

    monkeypatch.setattr(predict_videos, "load_model", lambda *_, **__: Watched())
    assert run(ALL).exit_code == 0
    assert seen == [4, 8]  # subtitles, a list and two clips each
    assert len(files()) == 10


@pytest.mark.usefixtures("ffmpeg")
def test_what_fails_is_told_at_the_end_and_the_rest_is_written(folder: Path) -> None:
    (folder / "videos" / "bad.mp4").touch()
    (folder / "videos" / "b.mp4").write_bytes(b"no longer a video")
    result = run(ALL)
    assert result.exit_code == 1
    assert result.stderr.count("failed: videos/b.mp4, 0.50 s to 1.50 s: ffmpeg: ") == 1
    first, second, third = result.stderr.splitlines()[-5:-2]
    assert first == "error: 1 of 3 videos failed"
    assert second == "  videos/bad.mp4: no video"
    assert third == "2 files could not be written"
    assert [name for name in files() if name.startswith("clips")] == [
        "clips/a_00000.50-00001.50_run.mp4",
        "clips/a_00002.00-00003.00_jump.mp4",
    ]
    assert "out/clips/a_00000.50-00001.50_run.mp4" in result.stdout.splitlines()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("--max-clips 3", 2, "--max-clips without --clips DIR"),
        ("--clips c --max-clips 0", 2, "0 is not in the range"),
        ("--subtitles videos/a.mp4", 2, "'videos/a.mp4' is a file"),
        ("--subtitles s --subtitle-format ass", 2, "'ass' is not one of"),
        ("--report videos", 2, "'videos' is a directory"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(arguments: str, code: int, message: str) -> None:
    result = run(arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert not Path("out").exists()


def test_clips_without_ffmpeg_are_refused_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    result = run("--clips out/clips")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: clips are cut by the ffmpeg program, which is not installed\nhint: apt-get" in result.stderr
    assert not Path("out").exists()


def test_the_least_score_is_that_of_the_package() -> None:
    (option,) = [option for option in predict.params if option.name == "min_score"]
    assert option.default == MIN_SCORE


@pytest.mark.usefixtures("folder", "ffmpeg")
def test_the_commands_of_the_page_run() -> None:
    page = (Path(__file__).parents[2] / "docs" / "predict.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- run: view -->\n```bash\n(.*?)```", page, flags=re.DOTALL)
    assert found is not None
    for line in found[1].splitlines():
        result = command_line.run(line.removeprefix("asl-kit "))
        assert result.exit_code == 0, f"{line}\n{result.output}"
    written = {str(path) for path in Path().rglob("*") if path.is_file()}
    assert written >= {"detections.csv", "detections.json", "report.html", "videos/a.actions.srt", "web/b.actions.vtt"}
    assert written >= {"lists/a.edl", "best/a_00000.50-00001.50_run.mp4", "sure/a.edl"}
