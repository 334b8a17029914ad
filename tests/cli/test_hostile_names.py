"""Names of others' files through the commands: printed as they are, obeyed by no terminal, led by out of no folder."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from helpers import command_line

VIDEOS = ("[bold]v[/bold]", "../../up", "/etc/passwd", "\x1b[2Jgone", "CON", "n" * 300, "<script>alert(1)</script>")
LABELS = ("[link=file:///etc]run[/link]", "\x1b]0;title\x07", "</script><img src=x>", "../jump")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Annotations, and predictions that equal them."""
    annotations, predictions = tmp_path / "in" / "annotations.json", tmp_path / "in" / "predictions.json"
    annotations.parent.mkdir()
    segments = [{"start": 2.0 * i, "end": 2.0 * i + 1, "labels": {"action": label}} for i, label in enumerate(LABELS)]
    document = {
        "format": "asl-kit/annotations",
        "version": 1,
        "dataset": "[red]\x1b[2J",
        "source": {"files": [], "converter": "csv", "asl_kit": "0.1.0", "notes": []},
        "vocabularies": {"action": list(LABELS)},
        "videos": {
            name: {
                "split": "test",
                "duration": 20.0,
                "fps": 25.0,
                "frames": 500,
                "path": name.replace("\x1b", ""),
                "segments": segments,
                "ignored": [],
            }
            for name in VIDEOS
        },
    }
    annotations.write_text(json.dumps(document))
    found = [
        {"segment": [2.0 * i, 2.0 * i + 1], "label": label, "score": 0.5 + i / 10} for i, label in enumerate(LABELS)
    ]
    predictions.write_text(json.dumps({"results": dict.fromkeys(VIDEOS, found)}))
    return annotations, predictions


def run(*arguments: object) -> Result:
    result = command_line.run(*arguments)
    assert not CONTROL.search(result.output)
    return result


def test_commands_that_print_names(files: tuple[Path, Path], tmp_path: Path) -> None:
    annotations, predictions = files
    data = ("--predictions", predictions, "--annotations", annotations)
    stats = run("annotations", "stats", annotations)
    assert "[link=file:///etc]run[/link]" in stats.stdout
    assert run("annotations", "validate", annotations).exit_code == 0
    scores = run("eval", *data, "--protocol", "activitynet", "--out", tmp_path / "out")
    assert scores.exit_code == 0, scores.output
    assert "[link=file:///etc]run[/link]" in scores.stdout
    assert run("diagnose", *data).exit_code == 0
    assert run("compare", predictions, predictions, "--annotations", annotations).exit_code == 0
    assert run("report", *data, "-o", tmp_path / "out" / "report.html").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("name", VIDEOS[:4])
def test_errors_show_names(name: str, tmp_path: Path) -> None:
    path = tmp_path / "segments.csv"
    path.write_text(f"video,start,end,label\n{name},5,3,run\n", encoding="utf-8")
    result = run("convert", "csv", path, "-o", tmp_path / "out.json")
    assert result.exit_code == 1
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["../secret", "sub/../../secret", "{absolute}", "n" * 300, "nul\0"])
def test_a_report_refers_to_videos_in_their_folder_only(name: str, files: tuple[Path, Path], tmp_path: Path) -> None:
    annotations, predictions = files
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    (folder / "CON.mp4").write_bytes(b"")
    (tmp_path / "secret").write_bytes(b"")
    document = json.loads(annotations.read_bytes())
    document["videos"]["../../up"]["path"] = name.format(absolute=tmp_path / "secret")
    annotations.write_text(json.dumps(document))
    page = tmp_path / "out" / "report.html"
    data = ("--predictions", predictions, "--annotations", annotations)
    result = run("report", *data, "-o", page, "--videos", folder)
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    assert "videos/CON.mp4" in text
    assert '"../secret"' not in text
    assert "/secret" not in text.replace(json.dumps(name), "")
