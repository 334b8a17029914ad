"""What docs/new-datasets.md shows works as it says."""

import json
import re
from pathlib import Path

import pytest

from asl_kit.annotations.column_words import DURATIONS, WORDS
from asl_kit.annotations.conversion import convert
from asl_kit.annotations.converters.csv_table import LAYOUT
from asl_kit.annotations.io import read_annotations

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "new-datasets.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def converted(tmp_path, name, text, *others, suffix):
    path = tmp_path / f"own.{suffix}"
    path.write_text(text, encoding="utf-8")
    report = convert(name, [path, *others], tmp_path / "out.json")
    assert (report.items, report.differences) == ([], [])
    return read_annotations(tmp_path / "out.json")


def test_first_table(tmp_path):
    annotations = converted(tmp_path, "csv", blocks("csv")[0], suffix="csv")
    assert {name: len(video.segments or ()) for name, video in annotations.videos.items()} == {
        "garden_1": 0,
        "kitchen_1": 2,
        "kitchen_2": 1,
    }


def test_table_of_a_spreadsheet(tmp_path):
    annotations = converted(tmp_path, "csv", blocks("csv")[1], suffix="csv")
    video = annotations.videos["kitchen_1"]
    assert (list(annotations.vocabularies), video.path) == (["noun", "verb"], "day 1/kitchen_1.mp4")
    assert [(item.start, item.end) for item in video.segments or ()] == [(3.0, 4.5), (12.25, 14.0), (20.0, 21.5)]


def test_json(tmp_path):
    annotations = converted(tmp_path, "activitynet-json", blocks("json")[0], suffix="json")
    assert {name: video.segments and len(video.segments) for name, video in annotations.videos.items()} == {
        "garden_1": [],
        "kitchen_1": 2,
        "kitchen_3": None,
    }
    assert len(annotations.videos["kitchen_1"].ignored) == 1


def test_table_of_durations(tmp_path):
    table = tmp_path / "videos.csv"
    table.write_text(blocks("csv")[2])
    ranges = {"type": "timelinelabels", "value": {"ranges": [{"start": 26, "end": 50}], "timelinelabels": ["cut"]}}
    tasks = [{"id": 1, "data": {"video": "kitchen_1.mp4"}, "annotations": [{"result": [ranges]}]}]
    tasks.append({"id": 2, "data": {"video": "garden_1.mp4"}, "annotations": [{"result": []}]})
    annotations = converted(tmp_path, "label-studio", json.dumps(tasks), table, suffix="json")
    assert {name: video.duration for name, video in annotations.videos.items()} == {"garden_1": 30.0, "kitchen_1": 60.5}


@pytest.mark.parametrize("name", LAYOUT.names)
def test_every_column_is_explained(name):
    rows = [line for line in DOCUMENT.splitlines() if line.strip().startswith("| `")]
    assert any(f"`{name}`" in row.split("|")[1] for row in rows)


@pytest.mark.parametrize("language", WORDS)
def test_every_word_for_a_column_is_listed(language):
    (row,) = re.findall(rf"^\| {language} \|(.*)\|$", DOCUMENT, re.MULTILINE)
    names = ("video", "start", "end", "label", "split", "duration", "score")
    expected = [*(WORDS[language].get(name, ()) for name in names), DURATIONS[language]]
    assert [tuple(re.findall("`([^`]+)`", cell)) for cell in row.split("|")] == expected
    assert {*WORDS[language]} <= {*names, "fps"}
