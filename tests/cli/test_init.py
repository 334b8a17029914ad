"""`asl-kit init`: what it finds, proposes, writes and refuses."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from helpers import command_line
from helpers.processes import ENVIRONMENT, start_asl_kit
from helpers.support import write_video

from asl_extract.decoders.probe import probe, read_header
from asl_kit.annotations import read_annotations
from asl_kit.cli import main
from asl_kit.recipes.files import load_recipe


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "my videos"
    folder.mkdir()
    for number in range(5):
        write_video(folder / f"clip{number}.mp4", frames=60 + 10 * number)
    write_video(folder / "Take_1.avi", frames=20)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


ROOT = Path(__file__).parents[2]
ROWS = [f"clip{number},0.5,2.5,run\nclip{number},3,5.5,jump\n" for number in range(5)]


def table(folder: Path, *rows: str, header: str = "video,start,end,label") -> Path:
    path = folder / "segments.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def run(*words: object) -> tuple[int, str]:
    result = command_line.run("init", *words, "--device", "cpu")
    return result.exit_code, result.output


def scripted(script: Path) -> list[list[str]]:
    """Return the commands of a script, without the leading ``asl-kit``."""
    lines = [line.strip() for line in script.read_text(encoding="utf-8").splitlines()]
    return [shlex.split(line.partition(" || ")[0])[1:] for line in lines if line.startswith("asl-kit ")]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.h264"])
def test_a_header_says_what_the_frames_say(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, frames=50, fps=20)
    header, frames = read_header(path), probe(path)
    assert header.fps == pytest.approx(frames.fps, rel=0.01)
    assert header.duration_s == pytest.approx(frames.frame_count / frames.fps, abs=0.15)


def test_what_is_found(videos: Path, tmp_path: Path) -> None:
    source = table(tmp_path, *ROWS, "take_1,1,2,run", "broken,1,2,[sneeze]", "gone,1,2,[sneeze]")
    code, output = run(source, videos, "--json", tmp_path / "found.json")
    assert code == 0, output
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["videos"]["missing"] == {"gone": "", "take_1": "Take_1"}
    assert list(found["videos"]["unreadable"]) == ["broken"]
    assert found["videos"]["not_annotated"] == ["Take_1"]
    assert found["videos"]["segments_beyond_end"] == {}
    assert found["splits"] == {"test": 1, "train": 7}
    assert found["fps"] == {"10": 5}
    assert found["duration_s"]["0"] == pytest.approx(6.0)
    assert found["segment_s"]["0"] == pytest.approx(2.0)
    sneeze = next(item for item in found["classes"] if item["label"] == "[sneeze]")
    assert sneeze["remarks"] == ["none in test", "none in train"]
    for text in ("take_1 (is it Take_1?)", "Invalid data", "[sneeze]", "rare: 4 in train", "x3d_xs"):
        assert text in output
    assert not list(tmp_path.glob("run.sh"))


def test_a_file_that_may_be_cut_off_is_named(videos: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(videos, tmp_path / "videos")
    path = write_video(folder / "cut.ts", frames=50)
    path.write_bytes(path.read_bytes() + path.read_bytes()[:100])
    source, found = table(tmp_path, *ROWS, "cut,1,2,run"), tmp_path / "found.json"
    code, output = run(source, folder, "--json", found)
    assert code == 0, output
    note = "the file ends within a packet: its end may have been cut off"
    assert json.loads(found.read_text(encoding="utf-8"))["videos"]["notes"] == {"cut": note}
    assert f"notes 1: cut ({note})" in " ".join(output.split())
    converted = command_line.run("convert", "csv", source, "--videos", folder, "-o", tmp_path / "a.json")
    assert f"{path}: {note}" in converted.output.replace("\n", "")


HINT = (
    "hint: Nothing was written. Correct the times in {source}, or replace a file that is cut short. Times are seconds "
    "(75.5) or clock times (1:15.5), not frame numbers, not milliseconds.\n"
)


def test_a_segment_that_ends_after_its_video_is_refused(videos: Path, tmp_path: Path) -> None:
    source = table(tmp_path, *ROWS, "clip1,6,200,run", "clip2,0:06,3:20,run")
    result = command_line.run("init", source, videos, "--out", tmp_path / "out", "--device", "cpu")
    assert result.exit_code == 1
    assert "end before a segment 2: clip1 (1), clip2 (1)" in " ".join(result.stdout.split())
    assert "Proposed" not in result.stdout
    assert result.stderr.endswith(
        f"error: 2 errors\n"
        f"  {source}:17: video 'clip1': end: must be within the 7 s of {videos}/clip1.mp4, found 200.0\n"
        f"  {source}:18: video 'clip2': end: must be within the 8 s of {videos}/clip2.mp4, found 200.0\n"
        + HINT.format(source=source)
    )
    assert not (tmp_path / "out").exists()


def test_a_segment_of_converted_annotations_is_named_by_its_number(videos: Path, tmp_path: Path) -> None:
    source = table(tmp_path, *ROWS, "clip1,6,200,run")
    assert command_line.run("convert", "csv", source, "-o", tmp_path / "a.json").exit_code == 0
    code, output = run(tmp_path / "a.json", videos, "--out", tmp_path / "out")
    assert code == 1
    place = f"{tmp_path}/a.json: video 'clip1': segments.2.end"
    assert f"error: {place}: must be within the 7 s of {videos}/clip1.mp4, found 200.0\n" in output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("header", "row", "note"),
    [
        pytest.param("", "clip1,5,7.05,run", "", id="end within the tolerance"),
        pytest.param("", "clip1,5,6,run", "", id="end before the video's"),
        pytest.param(",duration", "clip1,5,6,run,7.05", "", id="stated, within the tolerance"),
        pytest.param(",duration", "clip1,5,6,run,200", "200 s stated, 7 s in clip1.mp4", id="stated, longer"),
        pytest.param(",duration", "clip1,5,6,run,6.5", "6.5 s stated, 7 s in clip1.mp4", id="stated, shorter"),
    ],
)
def test_the_duration_is_that_of_the_file(videos: Path, tmp_path: Path, header: str, row: str, note: str) -> None:
    rows = [line + ("," if header else "") for line in "".join(ROWS).splitlines()]
    source = table(tmp_path, *rows, row, header=f"video,start,end,label{header}")
    code, output = run(source, videos, "--out", tmp_path / "out")
    assert code == 0, output
    annotations = read_annotations(tmp_path / "out" / "annotations.json")
    assert annotations.videos["clip1"].duration == pytest.approx(7.0)
    notes = [text for text in annotations.source.notes if "were replaced" in text]
    assert [text.partition(" files: ")[2] for text in notes] == [f"clip1: {note}"] * bool(note)
    shown = f"1: clip1 ({note})" if note else "none"
    assert f"replaced durations {shown}" in " ".join(output.split())


def test_what_is_written(videos: Path, tmp_path: Path) -> None:
    code, output = run(table(tmp_path, *ROWS), videos, "--out", tmp_path / "out", "--weights", "random")
    assert code == 0, output
    annotations = read_annotations(tmp_path / "out" / "annotations.json")
    assert sorted(video.split for video in annotations.videos.values()) == ["test", *["train"] * 4]
    assert annotations.videos["clip4"].duration == pytest.approx(10.0)  # the file's: the table does not state it
    assert "drawn by the SHA-256" in annotations.source.notes[-1]
    assert load_recipe(str(tmp_path / "out" / "recipe.toml")).model.width == 128
    script = tmp_path / "out" / "run.sh"
    subprocess.run(["bash", "-n", script], check=True)
    commands = scripted(script)
    assert [words[0] for words in commands] == ["extract", "train", "eval", "report", "predict"]
    assert commands[0][1] == str(videos)
    for words in commands:
        command = main.get_command(click.Context(main), words[0])
        assert command is not None
        command.make_context(words[0], words[1:])


@pytest.mark.parametrize(
    ("step", "code", "done"),
    [
        ("none", 0, ["extract", "train", "eval", "report", "predict"]),
        ("extract", 1, ["extract", "train", "eval", "report", "predict"]),
        ("extract", 130, ["extract"]),
        ("train", 130, ["extract", "train"]),
    ],
    ids=["all is well", "videos that failed", "interrupted in extract", "interrupted in train"],
)
def test_what_the_script_does(videos: Path, tmp_path: Path, step: str, code: int, done: list[str]) -> None:
    """With a program in asl-kit's place that only notes how it was called, and ends at a step with a code."""
    assert run(table(tmp_path, *ROWS), videos, "--out", tmp_path / "out")[0] == 0
    (tmp_path / "asl-kit").write_text(
        f"#!/bin/sh\necho $1 >> {shlex.quote(str(tmp_path))}/calls\n[ $1 != {step} ] || exit {code}\n"
    )
    (tmp_path / "asl-kit").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(["bash", tmp_path / "out" / "run.sh", "new.mp4"], env=environment, check=False)
    assert (ended.returncode == 0) == (done[-1] == "predict")
    assert (tmp_path / "calls").read_text().split() == done


def test_a_locale_that_cannot_encode_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "vidéos"
    folder.mkdir()
    for number in range(5):
        write_video(folder / f"clip{number}.mp4", frames=60)
    write_video(folder / "été.mp4", frames=20)
    source = table(tmp_path, *ROWS, "clip0,1,2,sauté")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    command = ["init", source, folder, "--device", "cpu", "--out", tmp_path / "out"]
    for _ in range(2):  # the second time, its own files are there
        with start_asl_kit(*command, env=ENVIRONMENT | ascii_only) as process:
            output, messages = process.communicate()
        assert process.returncode == 0, messages
        assert "saut\\xe9" in output
    assert scripted(tmp_path / "out" / "run.sh")[0][1] == str(folder)
    assert run(source, folder, "--out", tmp_path / "out")[0] == 0


def test_a_narrow_terminal(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    result = command_line.run("init", table(tmp_path, *ROWS), videos, "--device", "cpu")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 60
    assert "optimizer.learning_rate" in result.stdout
    assert len(lines) < 150


def test_several_vocabularies(videos: Path, tmp_path: Path) -> None:
    rows = [f"clip{number},1,2,cut,\nclip{number},2,3,pour,milk\n" for number in range(5)]
    source = table(tmp_path, *rows, header="video,start,end,label:verb,label:noun")
    code, output = run(source, videos, "--out", tmp_path / "out")
    assert code == 0, output
    assert load_recipe(str(tmp_path / "out" / "recipe.toml")).data.vocabulary == ("noun", "verb")
    reports = [words for words in scripted(tmp_path / "out" / "run.sh") if words[0] == "report"]
    assert [words[2] for words in reports] == ["scores/detections-noun.json", "scores/detections-verb.json"]


def test_labels_that_look_alike(videos: Path, tmp_path: Path) -> None:
    source = table(tmp_path, *ROWS, "clip1,1,2,Run", "clip2,1,2,RUN")
    code, output = run(source, videos, "--json", tmp_path / "found.json")
    assert code == 0, output
    assert "are different classes, here with their numbers of segments: 'RUN' (1) and 'Run' (1) and 'run' (5)" in output
    classes = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["classes"]
    remarks = {item["label"]: item["remarks"] for item in classes}
    assert "another spelling of 'Run', 'run'?" in remarks["RUN"]
    assert not any("spelling" in text for text in remarks["jump"])


def test_annotations_of_any_converter(videos: Path, tmp_path: Path) -> None:
    source = table(
        tmp_path,
        *(f"clip{n},1,2,run,{s}" for n, s in enumerate(("train", "test"))),
        header="video,start,end,label,split",
    )
    converted = command_line.run("convert", "csv", source, "-o", tmp_path / "a.json")
    assert converted.exit_code == 0
    assert run(tmp_path / "a.json", videos, "--json", "-")[0] == run(source, videos)[0] == 0


class TestRunAgain:
    """Files are replaced, unless they hold what `init` did not write."""

    @pytest.fixture
    def out(self, videos: Path, tmp_path: Path) -> Path:
        assert run(table(tmp_path, *ROWS), videos, "--out", tmp_path / "out")[0] == 0
        return tmp_path / "out"

    def test_the_same_bytes(self, videos: Path, tmp_path: Path, out: Path) -> None:
        before = {path: path.read_bytes() for path in out.iterdir()}
        assert run(tmp_path / "segments.csv", videos, "--out", out)[0] == 0
        assert {path: path.read_bytes() for path in out.iterdir()} == before

    def test_new_data_makes_a_new_proposal(self, videos: Path, tmp_path: Path, out: Path) -> None:
        before = (out / "recipe.toml").read_bytes()
        assert run(table(tmp_path, *ROWS, "clip0,1,1.4,hop"), videos, "--out", out)[0] == 0
        assert (out / "recipe.toml").read_bytes() != before

    @pytest.mark.parametrize("name", ["recipe.toml", "run.sh", "annotations.json"])
    def test_edited_files_stay(self, videos: Path, tmp_path: Path, out: Path, name: str) -> None:
        (out / name).write_text((out / name).read_text() + "\n\n")
        before = {path: path.read_bytes() for path in out.iterdir()}
        code, output = run(table(tmp_path, *ROWS, "clip0,1,1.4,hop"), videos, "--out", out)
        assert code == 2
        assert f"{name}: edited, or not written by asl-kit init" in output
        assert {path: path.read_bytes() for path in out.iterdir()} == before

    def test_a_recipe_of_ones_own_stays(self, videos: Path, tmp_path: Path) -> None:
        (tmp_path / "recipe.toml").write_text("[model]\nwidth = 64\n")
        code, output = run(table(tmp_path, *ROWS), videos, "--out", tmp_path)
        assert code == 2
        assert "recipe.toml: edited, or not written" in output
        assert not (tmp_path / "run.sh").exists()

    def test_a_damaged_record(self, videos: Path, tmp_path: Path, out: Path) -> None:
        (out / "init.json").write_text("{")
        code, output = run(tmp_path / "segments.csv", videos, "--out", out)
        assert (code, "not a JSON file" in output) == (2, True)


@pytest.mark.parametrize(
    ("rows", "words", "code", "message"),
    [
        (
            ["other,1,2,run"],
            [],
            2,
            "none of the 1 videos of {csv} is in {videos}: the annotations name 'other'; the files",
        ),
        (["broken,1,2,run"], [], 2, "none of the 1 annotated videos in {videos} can be read"),
        (["clip0,1,2,run"], [], 1, "2 are needed: one to train on, one to score on"),
        (["clip0,2,1,run"], [], 1, "{csv}:2: video 'clip0': end: must be after the start"),
        ([], [], 1, "no rows below the first line"),
        (ROWS, ["--weights", "absent.pth"], 2, "--weights absent.pth: no such file"),
        (ROWS, ["--device", "tpu"], 2, "unknown device 'tpu'"),
        (ROWS, ["--out", "{csv}"], 2, "{csv}: expected a folder to write into, found a file"),
    ],
    ids=["other ids", "unreadable", "one video", "bad times", "empty", "weights", "device", "out"],
)
def test_wrong_input(videos: Path, tmp_path: Path, rows: list[str], words: list[str], code: int, message: str) -> None:
    names = {"csv": table(tmp_path, *rows), "videos": videos}
    result = command_line.run("init", names["csv"], videos, *(word.format(**names) for word in words))
    assert result.exit_code == code, result.output
    assert message.format(**names) in result.output


@pytest.mark.parametrize(
    ("source", "folder", "message"),
    [
        ("absent.csv", "videos", "absent.csv: no such file"),
        ("talk.eaf", "videos", "talk.eaf: a file of an annotation tool, not a table"),
        ("segments.csv", "absent", "absent: no such folder"),
        ("segments.csv", "segments.csv", "expected the folder of the videos, found a file"),
        ("segments.csv", "empty", "no videos found in"),
    ],
)
def test_wrong_places(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, folder: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path, *ROWS)
    (tmp_path / "empty").mkdir()
    code, output = run(source, videos if folder == "videos" else folder)
    assert code == 2, output
    assert message in output


def test_readme_shows_the_commands_of_the_page() -> None:
    """docs/own-data.md is followed to the letter by tests/integration/test_own_data.py."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- run: init -->\n```bash\n")[2].partition("```")[0].splitlines()
    page = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")
    assert len(shown) == 2
    assert all(f"```bash\n{line}\n```" in page for line in shown)
