"""`asl-kit init --update`: what a project keeps, what it takes, and what is refused.

The headers of the videos are stand-ins, except for the project of an earlier version.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from helpers import command_line
from helpers.support import write_video

from asl_extract.decoders.probe import VideoHeader
from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.base.files import atomic_write
from asl_kit.own_data import project as project_module
from asl_kit.own_data import survey as survey_module
from asl_kit.own_data.video_headers import VideoHeaders

V1 = Path(__file__).parents[1] / "formats" / "v1" / "project"
HEADER = "video,start,end,label"


@pytest.fixture
def headers(monkeypatch: pytest.MonkeyPatch) -> dict[str, VideoHeader]:
    """Return headers of 10 s at 10 fps by video; a test may change them, or delete them for a missing file."""
    found = {f"v{number}": VideoHeader(10.0, 10.0) for number in range(80)}

    def read(annotations: AnnotationSet, videos: Path, *, source: str, image_fps: float | None) -> VideoHeaders:
        own = {name: found[name] for name in annotations.videos if name in found}
        return VideoHeaders({name: videos / f"{name}.mp4" for name in own}, own, {}, [])

    monkeypatch.setattr(survey_module, "read_annotated", read)
    return found


def rows(videos: Iterable[int], *labels: str) -> list[str]:
    """Return a segment of each label, or of `jump` and `run`, for each video."""
    names = labels or ("jump", "run")
    return [f"v{video},{2 * place},{2 * place + 1.5},{name}" for video in videos for place, name in enumerate(names)]


def init(folder: Path, lines: Iterable[str], *words: object, header: str = HEADER) -> Result:
    """Run `asl-kit init` on a table of these lines, with the project in `folder`."""
    (folder / "segments.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    command = ("init", folder / "segments.csv", folder / "videos", "--out", folder / "project", "--device", "cpu")
    return command_line.run(*command, *words)


def update(folder: Path, lines: Iterable[str], *words: object, header: str = HEADER) -> dict[str, Any]:
    """Update the project; return what ``--json`` says about the update, and as ``printed`` what was printed."""
    result = init(folder, lines, "--update", "--json", folder / "found.json", *words, header=header)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads((folder / "found.json").read_text(encoding="utf-8"))["update"]
    return found | {"printed": " ".join(result.stdout.split())}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def splits(annotations: AnnotationSet) -> dict[str, str]:
    return {name: video.split for name, video in annotations.videos.items()}


@pytest.fixture
def project(headers: dict[str, VideoHeader], tmp_path: Path) -> Path:
    """Return a project of eight videos, which was trained."""
    assert init(tmp_path, rows(range(8))).exit_code == 0
    (tmp_path / "project" / "run").mkdir()
    return tmp_path / "project"


def test_eight_videos_become_eighty(project: Path, tmp_path: Path) -> None:
    before = read_annotations(project / "annotations.json")
    table = [*rows(range(80)), *rows(range(70, 80), "alight")]
    found = update(tmp_path, table)
    now = read_annotations(project / "annotations.json")
    assert splits(before).items() <= splits(now).items()
    assert list(splits(before).values()).count("test") == 2
    assert list(splits(now).values()).count("test") == 16  # a fifth
    assert now.classes() == [*before.classes(), "alight"]
    test_labels = {item.labels["action"] for video in now.split("test").values() for item in video.segments or ()}
    assert test_labels == {"jump", "run", "alight"}
    assert len(found["changes"]["added"]) == 72
    assert found["changes"]["new_classes"] == ["alight"]
    assert found["changes"]["splits"] == found["changes"]["removed"] == found["changes"]["segments"] == {}
    epochs = {item["name"]: item for item in found["recipe"]}["optimizer.epochs"]
    assert (epochs["earlier"], epochs["now"]) == (200, 30)
    assert "\nepochs = 30 " in (project / "recipe.toml").read_text()
    assert "videos added 72 (14 test, 58 train): v10, v11" in found["printed"]
    script = (project / "run.sh").read_text()
    assert "--out run-2 " in script
    assert script.count("--checkpoint run-2/model.ckpt") == 2
    assert os.access(project / "run.sh", os.X_OK)

    (project / "run-2").mkdir()
    files = contents(project)
    again = update(tmp_path, table)
    assert not any(again["changes"].values())
    assert "no changes" in again["printed"]
    assert contents(project) == files | {"init.json": (project / "init.json").read_bytes()}  # the run goes on
    assert update(tmp_path, [*table, "v0,8,9,run"])["run"] == "run-3"


def test_the_folder_of_a_run_that_was_not_started_is_used(project: Path, tmp_path: Path) -> None:
    assert update(tmp_path, rows(range(9)))["run"] == "run-2"
    assert update(tmp_path, rows(range(10)))["run"] == "run-2"
    (project / "run").rmdir()
    assert update(tmp_path, rows(range(11)))["run"] == "run"


@pytest.mark.parametrize(
    ("lines", "header", "expected", "printed"),
    [
        pytest.param(
            rows(range(7)),
            HEADER,
            {"removed": ["v7"]},
            "warning: videos of the project are not in the table",
            id="video",
        ),
        pytest.param(
            [*rows(range(8))[1:], "v3,8,9,run", "v3,8,9.5,run"],
            HEADER,
            {"segments": {"v0": [0, 1], "v3": [2, 0]}},
            "other segments 2: v0 (0 new, 1 gone), v3 (2 new, 0 gone)",
            id="segments",
        ),
        pytest.param(
            [line.replace("jump", "leap") for line in rows(range(8))],
            HEADER,
            {"new_classes": ["leap"], "removed_classes": ["jump"], "class_order": True, "segments": ...},
            "classes added 1: leap classes removed 1: jump class ids not as before",
            id="class",
        ),
        pytest.param(
            [f"{line},{'test' if line.startswith(('v0', 'v1')) else ''}" for line in rows(range(8))],
            f"{HEADER},split",
            {"splits": {"v1": ["train", "test"]}},
            "moved to another split 1: v1 (train to test)",
            id="a stated split; the others stay",
        ),
        pytest.param(
            [f"{line},{'test' if line.startswith('v0') else 'train'}" for line in rows(range(8))],
            f"{HEADER},split",
            {"splits": ...},
            "moved to another split",
            id="all splits stated",
        ),
        pytest.param(
            [f"{line},25" for line in rows(range(8))], f"{HEADER},fps", {"other": ...}, "other facts 8", id="fps"
        ),
    ],
)
def test_changes_are_shown(
    project: Path, tmp_path: Path, lines: list[str], header: str, expected: dict[str, Any], printed: str
) -> None:
    earlier = splits(read_annotations(project / "annotations.json"))
    assert [name for name, split in earlier.items() if split == "test"] == TEST_OF_EIGHT
    found = update(tmp_path, lines, header=header)
    changes = {name: value for name, value in found["changes"].items() if value}
    assert changes.keys() == expected.keys()
    for name, value in expected.items():
        assert value is ... or (list(changes[name]) if name == "removed" else changes[name]) == value
    assert printed in found["printed"]
    assert found["run"] == "run-2"


TEST_OF_EIGHT = ["v0", "v7"]
"""The test split of the project of eight videos."""


def test_durations_of_files(project: Path, tmp_path: Path, headers: dict[str, VideoHeader]) -> None:
    headers["v0"] = VideoHeader(12.5, 10.0)
    del headers["v1"]  # the file is gone, but its features exist: its duration stays known
    found = update(tmp_path, rows(range(8)))
    assert found["changes"]["durations_s"] == {"v0": [10.0, 12.5]}
    assert "other duration (s) 1: v0 (10 to 12.5)" in found["printed"]
    assert read_annotations(project / "annotations.json").videos["v1"].duration == 10.0


def test_extraction_stays(project: Path, tmp_path: Path, headers: dict[str, VideoHeader]) -> None:
    line = next(line for line in (project / "run.sh").read_text().splitlines() if line.startswith("asl-kit extract"))
    headers |= {f"v{number}": VideoHeader(10.0, 25.0) for number in range(8, 80)}
    short = [f"v{number},1,1.2,jump" for number in range(8, 80)]
    found = update(tmp_path, [*rows(range(8)), *short])
    assert line in (project / "run.sh").read_text().splitlines()
    differing = {item["name"]: (item["earlier"], item["now"]) for item in found["extraction_not_taken"]}
    assert differing["--fps"] == (None, 25)
    assert differing["--stride"][1] < differing["--stride"][0]
    assert "Extraction: not changed" in found["printed"]
    assert "for a new proposal, another --out" in found["printed"]


def test_an_edited_recipe_stays(project: Path, tmp_path: Path) -> None:
    edited = (project / "recipe.toml").read_text().replace("epochs = ", "# quick\nepochs = 3  # was ")
    (project / "recipe.toml").write_text(edited.replace("dropout = 0.1", "dropout = 0.2"))
    before = (project / "recipe.toml").read_bytes()
    for number in (80, 40):  # the second time, it is still known to be edited
        found = update(tmp_path, rows(range(number)))
        assert (project / "recipe.toml").read_bytes() == before
        assert [item["name"] for item in found["recipe"]] == [
            "optimizer.epochs"
        ]  # not dropout: the proposal is the same
        assert f"{project}/recipe.toml was edited and stays as it is; of the new proposal" in found["printed"]
        assert found["run"] == "run-2"
    assert init(tmp_path, rows(range(8))).exit_code == 2


def test_proposed_values_that_the_user_has_pasted_are_not_shown(project: Path, tmp_path: Path) -> None:
    text = (project / "recipe.toml").read_text()
    shutil.copytree(project, tmp_path / "copy")
    found = update(tmp_path, rows(range(80)))
    (epochs,) = (item["now"] for item in found["recipe"])
    shutil.rmtree(project)
    shutil.copytree(tmp_path / "copy", project)
    (project / "recipe.toml").write_text(text.replace("epochs = 200", f"epochs = {epochs}"))
    found = update(tmp_path, rows(range(80)))
    assert found["recipe"] == []
    assert "recipe.toml was edited and stays as it is" in found["printed"]


def test_an_edited_script_stays(project: Path, tmp_path: Path) -> None:
    script = project / "run.sh"
    script.write_text(script.read_text().replace("--resume", "--resume --device cpu"))
    before = script.read_bytes()
    words = "change it to train a new model: `--out run-2` for asl-kit train, and `--checkpoint run-2/model.ckpt`"
    assert words in update(tmp_path, rows(range(9)))["printed"]
    assert words in update(tmp_path, rows(range(9)))["printed"]  # still to be done
    assert script.read_bytes() == before
    script.write_text(script.read_text().replace("--out run ", "--out run-2 ").replace("run/model", "run-2/model"))
    printed = update(tmp_path, rows(range(10)))["printed"]
    assert "run.sh was edited and stays as it is" in printed
    assert words not in printed
    script.unlink()
    update(tmp_path, rows(range(10)))
    assert "--out run-2 " in script.read_text()


class TestEditedAnnotations:
    """They are replaced only if nothing that they say is lost."""

    @pytest.fixture
    def edited(self, project: Path) -> Path:
        path = project / "annotations.json"
        text = path.read_text()
        assert '"start": 0.0, "end": 1.5' in text
        path.write_text(text.replace('"v5": {"split": "train"', '"v5": {"split": "validation"'))
        return path

    def test_an_edited_split_stays(self, edited: Path, tmp_path: Path) -> None:
        assert update(tmp_path, rows(range(20)))["changes"]["splits"] == {}
        assert read_annotations(edited).videos["v5"].split == "validation"
        assert init(tmp_path, rows(range(20)), "--update").exit_code == 0

    def test_what_the_table_does_not_say_is_not_lost(self, edited: Path, tmp_path: Path) -> None:
        edited.write_text(edited.read_text().replace('"start": 0.0, "end": 1.5', '"start": 0.5, "end": 1.5', 1))
        before = contents(edited.parent)
        result = init(tmp_path, rows(range(20)), "--update")
        assert result.exit_code == 2
        assert (
            f"{edited}: edited, and the table says something else about 1 of its videos and classes: video 'v0';"
            in (result.stderr)
        )
        assert "hint: make the same edits in the table, or choose another --out" in result.stderr
        assert contents(edited.parent) == before
        same = ["v0,0.5,1.5,jump", *rows(range(20))[1:]]
        assert len(update(tmp_path, same)["changes"]["added"]) == 12


class StoppedError(Exception):
    """Raised in place of what a kill would do."""


def test_killed_in_between(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any of the writes, the same command gives what it would have given."""
    table = [*rows(range(30)), *rows([9], "alight")]
    shutil.copytree(project, tmp_path / "before")
    update(tmp_path, table)
    expected = contents(project)
    record = json.loads(expected.pop("init.json"))
    for writes in range(5):
        shutil.rmtree(project)
        shutil.copytree(tmp_path / "before", project)
        stop_after(writes, tmp_path, table, monkeypatch)
        update(tmp_path, table)
        found = contents(project)
        new = json.loads(found.pop("init.json"))
        assert found == expected
        assert (new["run"], new["files"]) == (record["run"], record["files"]) == ("run-2", record["files"])
        assert "replacing" not in new


def test_killed_twice_with_different_tables(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after(2, tmp_path, rows(range(30)), monkeypatch)
    stop_after(1, tmp_path, rows(range(40)), monkeypatch)
    found = update(tmp_path, rows(range(50)))
    assert found["edited"] == []
    assert len(read_annotations(project / "annotations.json").videos) == 50


WRITE_TEXT = project_module.write_text


def stop_after(writes: int, folder: Path, lines: Iterable[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Update, and stop after this number of files has been written."""
    left = [None] * writes

    def count() -> None:
        if not left:
            raise StoppedError
        left.pop()

    @contextmanager
    def write(path: Path) -> Iterator[Path]:
        count()
        with atomic_write(path) as temporary:
            yield temporary

    def write_text(path: Path, text: str, **options: Any) -> None:
        count()
        WRITE_TEXT(path, text, **options)

    with monkeypatch.context() as patch:
        patch.setattr(project_module, "atomic_write", write)
        patch.setattr(project_module, "write_text", write_text)
        with pytest.raises(StoppedError):
            init(folder, lines, "--update")
    assert not list((folder / "project").glob(".*"))


def test_a_project_of_version_0_1(tmp_path: Path) -> None:
    """Its record states neither its version nor the folder of the run. The videos are real."""
    shutil.copytree(V1, tmp_path / "project")
    (tmp_path / "project" / "run").mkdir()
    (tmp_path / "videos").mkdir()
    for number in range(7):
        write_video(tmp_path / "videos" / f"clip{number}.mp4", frames=60 + 10 * min(number, 4))
    before = read_annotations(V1 / "annotations.json")
    lines = [f"clip{n},0.5,2.5,run\nclip{n},3,5.5,jump" for n in range(7)]
    found = update(tmp_path, lines)
    assert [name for name, value in found["changes"].items() if value] == ["added"]
    assert found["changes"]["added"].keys() == {"clip5", "clip6"}
    assert found["extraction_not_taken"] == []
    assert found["edited"] == []
    now = read_annotations(tmp_path / "project" / "annotations.json")
    assert splits(before).items() <= splits(now).items()
    script = (tmp_path / "project" / "run.sh").read_text()
    assert "--backbone x3d_xs --weights random --dtype float32 --window 16 --stride 5 " in script
    assert "--out run-2 " in script
    subprocess.run(["bash", "-n", tmp_path / "project" / "run.sh"], check=True)
    result = command_line.run("init", tmp_path / "segments.csv", tmp_path / "videos", "--out", tmp_path / "project")
    assert result.exit_code == 0, result.output  # nothing was edited


def set_record(project: Path, **changes: Any) -> None:
    path = project / "init.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


EXTRACTION = [{"name": name, "value": 4, "reason": ""} for name in ("--window", "--stride")]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda project: shutil.rmtree(project), "project: not a project of asl-kit init: there is no init.json"),
        (lambda project: (project / "init.json").write_text("{"), "init.json: not a JSON file"),
        (lambda project: (project / "init.json").write_text("[1]"), "init.json: must be an object, found a list"),
        (
            lambda project: set_record(project, version=2),
            "init.json: project format version is 2, this asl-kit reads version 1",
        ),
        (lambda project: set_record(project, proposed=None), "init.json: proposed: "),
        (lambda project: set_record(project, run="../elsewhere"), "init.json: run: "),
        (
            lambda project: set_record(project, proposed={"extraction": EXTRACTION, "recipe": []}),
            "init.json: proposed.extraction: --backbone: missing",
        ),
        (
            lambda project: (project / "annotations.json").unlink(),
            "annotations.json: no such file; it holds the splits",
        ),
        (lambda project: (project / "recipe.toml").write_text("["), "recipe.toml: not a TOML file"),
    ],
    ids=["absent", "no JSON", "list", "newer", "no proposal", "run", "no backbone", "no annotations", "recipe"],
)
def test_refused(project: Path, tmp_path: Path, damage: Any, message: str) -> None:
    damage(project)
    before = contents(project) if project.exists() else {}
    result = init(tmp_path, rows(range(9)), "--update")
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "hint: " in result.stderr or "recipe" in message or "JSON" in message or "object" in message
    assert (contents(project) if project.exists() else {}) == before


def test_update_needs_out_and_the_whole_table(project: Path, tmp_path: Path) -> None:
    result = command_line.run("init", tmp_path / "segments.csv", tmp_path, "--update")
    assert (result.exit_code, "--update needs --out" in result.stderr) == (2, True)
    before = contents(project)
    result = init(tmp_path, rows(range(8, 20)), "--update")
    assert result.exit_code == 2
    assert "none of the 8 videos of the project is in it: v0, v1" in result.stderr
    assert "hint: --update reads the whole table" in result.stderr
    assert contents(project) == before


def test_an_edited_file_without_update(project: Path, tmp_path: Path) -> None:
    (project / "run.sh").write_text("# mine\n")
    result = init(tmp_path, rows(range(9)))
    assert result.exit_code == 2
    assert "run.sh: edited" in result.stderr
    assert "keep its edited files: --update" in " ".join(result.stderr.split())
