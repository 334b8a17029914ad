"""COIN, CrossTask and YouCook2: steps of instructional videos."""

import json

import pytest

from asl_kit.annotations.converters import coin, crosstask, youcook2
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError

TASKS = "7\nMake Tea\nhttps://x\n2\nboil water,pour water\n\n12\nMake Soup\nhttps://x\n1\nboil water\n"


def run(converter, *sources):
    report = ConversionReport("own")
    annotations = converter.convert(sources, manifest=None, report=report)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def times(video):
    return [(segment.start, segment.end, segment.labels["action"]) for segment in video.segments]


def write(tmp_path, files):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
    return tmp_path


def test_coin_keeps_the_steps_of_its_own_key(tmp_path):
    step = {"id": "218", "segment": [9.0, 12.0], "label": "remove the wheel"}
    entry = {"recipe_type": 131, "annotation": [step], "class": "ReplaceCarTire", "duration": 65.9}
    entry |= {"start": 0, "end": 60, "subset": "training", "video_url": "u"}
    folder = write(tmp_path, {"COIN.json": {"database": {"a": entry}}})
    annotations, report = run(coin, folder / "COIN.json")
    assert times(annotations.videos["a"]) == [(9.0, 12.0, "remove the wheel")]
    assert annotations.videos["a"].split == "train"
    assert annotations.videos["a"].attributes == {"task": "ReplaceCarTire", "recipe_type": 131, "start": 0, "end": 60}
    assert report.notes == []


def test_sentences_of_youcook2_are_attributes(tmp_path):
    step = {"segment": [25, 37], "id": 0, "sentence": "cut the onion"}
    entry = {"duration": 50, "subset": "validation", "recipe_type": "212", "annotations": [step], "video_url": "u"}
    folder = write(tmp_path, {"youcook.json": {"database": {"a": entry}}})
    annotations, _ = run(youcook2, folder / "youcook.json")
    assert times(annotations.videos["a"]) == [(25.0, 37.0, "step")]
    assert annotations.videos["a"].segments[0].attributes == {"id": 0, "sentence": "cut the onion"}
    assert annotations.videos["a"].split == "val"


def test_crosstask(tmp_path):
    files = {"tasks_primary.txt": TASKS, "videos.csv": "7,a_1,u\n7,lost,u\n", "videos_val.csv": "12,b,u\n"}
    files |= {"annotations/7_a_1.csv": "2,1.5,3\n1,4,9.25\n", "annotations/12_b.csv": "1,0,2\n"}
    annotations, report = run(crosstask, write(tmp_path, files))
    assert annotations.classes() == ["boil water", "pour water"]
    assert times(annotations.videos["a_1"]) == [(1.5, 3.0, "pour water"), (4.0, 9.25, "boil water")]
    assert annotations.videos["b"].segments[0].attributes == {"task": "Make Soup"}
    assert [annotations.videos[name].split for name in ("a_1", "b")] == ["train", "val"]
    assert "1 videos of the lists are not annotated, and left out, such as 'lost'" in report.notes


FAULTS = {
    "no such step": ({"annotations/7_a.csv": "3,1,2\n"}, r"7_a\.csv:1: video 'a': .* from 1 to 2, found '3,1,2'"),
    "no such task": ({"annotations/8_a.csv": "1,1,2\n"}, "video 'a': task '8': not in tasks_primary"),
    "list": (
        {"annotations/7_a.csv": "1,1,2\n", "videos.csv": "a,u\n"},
        r"videos\.csv:1: expected `task,video,a",
    ),
    "tasks": (
        {"annotations/7_a.csv": "1,1,2\n", "tasks_primary.txt": TASKS.replace("2\nboil", "3\nboil")},
        r"tasks_primary\.txt:1: expected the number of a task",
    ),
    "no annotations": ({"videos.csv": "7,a,u\n"}, "found 1 and 0"),
}


@pytest.mark.parametrize(("files", "error"), FAULTS.values(), ids=FAULTS)
def test_faults_of_crosstask(tmp_path, files, error):
    with pytest.raises(AnnotationError, match=error):
        run(crosstask, write(tmp_path, {"tasks_primary.txt": TASKS} | files))
