"""Text files with a label for each frame: Breakfast, 50 Salads, GTEA."""

import pytest

from asl_kit.annotations.converters.frame_labels import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, UsageError

LINES = "SIL\n" * 30 + "take_cup\n" * 20 + "pour_coffee\n" * 40


def run(*sources, **options):
    report = ConversionReport("frame-labels")
    annotations = convert(sources, manifest=None, report=report, **options)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def write(tmp_path, text, name="P03_cereals.txt"):
    path = tmp_path / name
    path.write_text(text)
    return path


def times(video):
    return [(segment.start, segment.end, segment.labels["action"]) for segment in video.segments]


def test_runs_are_segments(tmp_path):
    annotations, report = run(write(tmp_path, LINES), fps=15.0)
    video = annotations.videos["P03_cereals"]
    assert times(video) == [(2.0, 50 / 15, "take_cup"), (50 / 15, 6.0, "pour_coffee")]
    assert (video.duration, video.fps, video.frames, video.split) == (6.0, 15.0, 90, "train")
    assert "1 runs of 'SIL' are background, not segments" in report.notes


def test_stated_runs_give_the_same(tmp_path):
    annotations, _ = run(write(tmp_path, "1-30 SIL\n31-50 take_cup \n51-90 pour_coffee\n"), fps=15.0)
    assert times(annotations.videos["P03_cereals"]) == [(2.0, 50 / 15, "take_cup"), (50 / 15, 6.0, "pour_coffee")]


def test_only_background_is_a_video_without_action(tmp_path):
    annotations, _ = run(write(tmp_path, "background\n" * 15), fps=15.0)
    assert annotations.videos["P03_cereals"].segments == []


def test_table_mapping_and_bundles(tmp_path):
    video = write(tmp_path, LINES)
    table = write(tmp_path, "video,fps,duration\nP03_cereals,30,3.1\n", "rates.csv")
    mapping = write(tmp_path, "0 SIL\n2 take_cup\n1 pour_coffee\n", "mapping.txt")
    bundle = write(tmp_path, "groundTruth/P03_cereals.txt\nP04_tea.txt\n", "test.split2.bundle")
    annotations, report = run(video, table, mapping, bundle, fps=15.0)
    found = annotations.videos["P03_cereals"]
    assert (found.split, found.fps, found.duration, found.frames) == ("test", 30.0, 3.1, None)
    assert times(found) == [(1.0, 50 / 30, "take_cup"), (50 / 30, 3.0, "pour_coffee")]
    assert annotations.classes() == ["pour_coffee", "take_cup"]
    assert "1 videos of the bundles have no text file, such as 'P04_tea'" in report.notes


FAULTS = {
    "no label": ({"a.txt": "x\n\nx\n"}, r"a\.txt:2: no label"),
    "empty": ({"a.txt": "\n"}, r"a\.txt: empty; expected the label of every frame"),
    "gap": ({"a.txt": "1-3 x\n5-9 y\n"}, r"a\.txt:2: expected frames from 4 on, found '5-9 y'"),
    "no labels of frames": ({"a.txt": "".join(f"v 0.{n} 9\n" for n in range(30))}, "30 of 30 lines differ"),
    "not in the mapping": ({"a.txt": "x\nx\n", "mapping.txt": "0 y\n"}, "not in the vocabulary 'action', found 'x'"),
    "mapping": ({"a.txt": "x\n", "mapping.txt": "x 0\n"}, r"mapping\.txt:1: expected `number class`, found 'x 0'"),
    "class twice": ({"a.txt": "x\n", "mapping.txt": "0 x\n1 x\n"}, r"mapping\.txt:2: .* is there already"),
    "both splits": (
        {"a.txt": "x\n", "train.split1.bundle": "a.txt\n", "test.split1.bundle": "a.txt\n"},
        "'a' is in 't.*' already",
    ),
    "an empty bundle": ({"a.txt": "x\n", "train.split1.bundle": "\n"}, r"bundle: empty; expected lines `NAME\.txt`"),
    "another bundle": (
        {"a.txt": "x\n", "train.split1.bundle": "b.txt\n"},
        r"bundle: names none of the 1 text files: expected lines such as a\.txt, found 'b'",
    ),
    "an empty mapping": ({"a.txt": "x\n", "mapping.txt": ""}, r"mapping\.txt: empty; expected lines `0 class`"),
    "several divisions": (
        {"a.txt": "x\n", "train.split1.bundle": "a.txt\n", "train.split2.bundle": "a.txt\n"},
        "belong to several divisions",
    ),
    "two files of a video": ({"a.txt": "x\n", "copy/a.txt": "x\n"}, "video 'a': a second file of this video"),
    "nothing": ({"mapping.txt": "0 x\n"}, "no text file with a label for each frame"),
}


@pytest.mark.parametrize(("files", "error"), FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path, files, error):
    (tmp_path / "copy").mkdir()
    for name, text in files.items():
        write(tmp_path, text, name)
    with pytest.raises(AnnotationError, match=error):
        run(tmp_path, fps=15.0)


def test_frame_rate_must_be_stated(tmp_path):
    with pytest.raises(UsageError, match="the frame rate is not known") as caught:
        run(write(tmp_path, LINES))
    assert "--fps 15 for Breakfast" in caught.value.hint
