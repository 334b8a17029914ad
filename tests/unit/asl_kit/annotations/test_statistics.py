import pytest

from asl_kit.annotations import AnnotationSet, Segment, Source, Video
from asl_kit.annotations.statistics import count_overlapping, describe

OVERLAPS = {
    "none": ([], 0),
    "touching": ([(0, 1), (1, 2)], 0),
    "pair": ([(0, 2), (1, 3)], 2),
    "one holds two apart": ([(0, 10), (1, 2), (3, 4)], 3),
    "equal": ([(1, 2), (1, 2)], 2),
    "pair and one apart": ([(5, 6), (0, 2), (1, 3)], 2),
}


def seconds(start, end, label="run"):
    return Segment(start=float(start), end=float(end), labels={"action": label})


@pytest.mark.parametrize(("segments", "count"), OVERLAPS.values(), ids=OVERLAPS)
def test_count_overlapping(segments, count):
    assert count_overlapping([seconds(*segment) for segment in segments]) == count


def test_describe():
    videos = {
        "a": Video(split="train", duration=10.0, segments=[seconds(0, 2), seconds(1, 5, "jump")]),
        "b": Video(split="train", duration=20.0, segments=[]),
        "c": Video(split="test", duration=5.0, segments=None),
    }
    source = Source(converter="c", asl_kit="0")
    statistics = describe(
        AnnotationSet(dataset="d", source=source, vocabularies={"action": ["run", "jump", "fly"]}, videos=videos)
    )
    train, test = statistics.splits["train"], statistics.splits["test"]
    assert (train.videos, train.without_action, train.unannotated, train.segments, train.overlapping) == (2, 1, 0, 2, 2)
    assert (train.classes, train.duration_s, train.mean_video_s) == (2, 30.0, 15.0)
    assert (train.mean_segment_s, train.shortest_segment_s, train.longest_segment_s) == (3.0, 2.0, 4.0)
    assert (test.videos, test.unannotated, test.segments, test.mean_segment_s) == (1, 1, 0, 0.0)
    assert [(item.label, item.segments, item.videos, item.mean_segment_s) for item in statistics.classes] == [
        ("run", 1, 1, 2.0),
        ("jump", 1, 1, 4.0),
        ("fly", 0, 0, 0.0),
    ]


STEPS = {
    "one for all": (2.5, (1, 0)),
    "by video": ({"a": 2.0, "b": 9.0}, (0, 0)),
    "one video lacks it": ({"b": 1.0}, (0, 1)),
}


@pytest.mark.parametrize(("step_s", "expected"), STEPS.values(), ids=STEPS)
def test_segments_shorter_than_a_step(step_s, expected):
    videos = {
        "a": Video(split="train", duration=10.0, segments=[seconds(0, 2), seconds(1, 5)]),
        "b": Video(split="train", duration=20.0, segments=[]),
    }
    source = Source(converter="c", asl_kit="0")
    annotations = AnnotationSet(dataset="d", source=source, vocabularies={"action": ["run"]}, videos=videos)
    train = describe(annotations, step_s=step_s).splits["train"]
    assert (train.shorter_than_step, train.without_step) == expected
    assert describe(annotations).splits["train"].shorter_than_step is None
