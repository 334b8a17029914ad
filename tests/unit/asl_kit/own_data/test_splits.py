"""A test split that is drawn."""

from __future__ import annotations

from collections import Counter

import pytest
from helpers.support import make_annotation_set
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_kit.annotations import AnnotationSet
from asl_kit.errors import AnnotationError
from asl_kit.own_data.splits import draw_test_videos, with_test_split


def make(labels: dict[str, list[str]], split: str = "train") -> AnnotationSet:
    rows = {name: (split, [(1.0, 2.0, label) for label in found]) for name, found in labels.items()}
    return make_annotation_set(rows, sorted({label for found in labels.values() for label in found}))


LABELS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=4), st.lists(st.sampled_from("uvwxyz"), max_size=4), min_size=2
)


@settings(max_examples=50)
@given(LABELS, st.randoms())
def test_what_is_drawn(labels: dict[str, list[str]], random) -> None:
    videos = make(labels).videos
    drawn = draw_test_videos(videos)
    shuffled = list(videos)
    random.shuffle(shuffled)
    assert draw_test_videos({name: videos[name] for name in shuffled}) == drawn
    assert 1 <= len(drawn) < len(videos)
    assert len(drawn) <= max(1, round(len(videos) / 5), len(videos) // 3)
    if len(drawn) > 1:  # a single one is drawn even where it leaves a class without a training video
        kept = {label for name in videos.keys() - drawn for label in labels[name]}
        assert kept == {label for found in labels.values() for label in found}


@settings(max_examples=20)
@given(LABELS, LABELS, st.randoms())
def test_what_is_drawn_of_new_videos(first: dict[str, list[str]], more: dict[str, list[str]], random) -> None:
    project, _ = with_test_split(make(first), first.keys())
    labels = more | first
    annotations = make(labels)
    grown, _ = with_test_split(annotations, labels.keys(), project=project)
    earlier = {name: video.split for name, video in project.videos.items()}
    assert earlier.items() <= {name: video.split for name, video in grown.videos.items()}.items()
    drawn = {name for name, video in grown.videos.items() if video.split == "test"}
    before = {name for name, split in earlier.items() if split == "test"}
    assert before <= drawn
    assert len(drawn) <= max(len(before), round(len(labels) / 5), len(labels) // 3)
    unused = {  # the share is reached, or each video that is left has the only training segment of a class
        name
        for name in labels.keys() - drawn - first.keys()
        if all(sum(label in labels[other] for other in labels.keys() - drawn) > 1 for label in labels[name])
    }
    assert len(drawn) >= round(len(labels) / 5) or not unused
    names = list(labels)
    random.shuffle(names)
    shuffled = annotations.model_copy(update={"videos": {name: annotations.videos[name] for name in names}})
    assert with_test_split(shuffled, labels.keys(), project=project)[0].videos == grown.videos
    assert with_test_split(grown, labels.keys(), project=grown)[0] == grown


@pytest.mark.parametrize(
    ("project", "now", "unstated", "expected"),
    [
        ({"a": "test", "b": "train"}, {"a": "train", "b": "train"}, {"a", "b"}, {"a": "test", "b": "train"}),
        ({"a": "test", "b": "train"}, {"a": "train", "b": "train"}, (), {"a": "test", "b": "train"}),
        ({"a": "test", "b": "train"}, {"a": "train", "b": "test"}, (), {"a": "train", "b": "test"}),
        ({"a": "test", "b": "train"}, {"a": "train", "b": "test"}, {"a"}, {"a": "test", "b": "test"}),
        (
            {"a": "validation", "b": "test", "c": "train"},
            {"a": "train", "b": "train", "c": "train"},
            {"a", "b", "c"},
            {"a": "validation", "b": "test", "c": "train"},
        ),
        (
            {"a": "test", "b": "train", "c": "train"},
            {"a": "validation", "b": "train", "c": "train"},
            (),
            {"a": "validation", "b": "train", "c": "test"},
        ),
    ],
    ids=["unstated", "no test split stated", "stated", "stated for one", "validation", "test video stated elsewhere"],
)
def test_splits_of_a_project(
    project: dict[str, str], now: dict[str, str], unstated: set[str], expected: dict[str, str]
) -> None:
    def of(splits: dict[str, str]) -> AnnotationSet:
        return make_annotation_set({name: (split, [(0, 1, "x")]) for name, split in splits.items()}, ["x"])

    found, note = with_test_split(of(now), now.keys(), project=of(project), unstated=unstated)
    assert {name: video.split for name, video in found.videos.items()} == expected
    has_moved = now["a"] == "validation"  # none is left in the test split, and none is new
    assert ("1 of the 2 earlier videos were moved to split 'test'" in note) == has_moved
    assert has_moved or note in ("as in the project", "as stated: test", "as stated: test, train")


def test_every_class_of_several_videos_is_scored() -> None:
    labels = {f"v{number}": ["common"] for number in range(30)}
    labels |= {f"r{number}": ["rare", "common"] for number in range(2)}
    drawn = draw_test_videos(make(labels).videos)
    assert len(drawn) == round(0.2 * 32)
    assert Counter(label for name in drawn for label in labels[name])["rare"] == 1


@pytest.mark.parametrize("dataset", ["own", "activitynet13", "thumos14"])
@pytest.mark.parametrize("test", ["test", "Test"])
def test_a_stated_test_split_is_left_alone(dataset: str, test: str) -> None:
    rows = {"a": ("train", [(0, 1, "x")]), "b": (test, [(0, 1, "x")])}
    annotations = make_annotation_set(rows, ["x"], dataset=dataset)
    assert with_test_split(annotations, {"a", "b"}) == (annotations, f"as stated: {', '.join(sorted(['train', test]))}")


def test_only_annotated_videos_with_a_file_are_drawn() -> None:
    rows = {f"v{number}": ("train", [(0, 1, "x")]) for number in range(10)} | {"blank": ("train", None)}
    annotations, note = with_test_split(make_annotation_set(rows, ["x"]), {"v1", "v2", "blank"})
    drawn = {name for name, video in annotations.videos.items() if video.split == "test"}
    assert len(drawn) == 1
    assert drawn < {"v1", "v2"}
    assert "1 of the 2 videos of split 'train'" in note


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        (make({"a": ["x"]}), "split 'train' has 1 annotated videos with a readable file, 2 are needed"),
        (make({"a": ["x"], "b": ["x"]}, split="fold 1"), "no split named train or training"),
    ],
    ids=["one video", "no training split"],
)
def test_refused(annotations: AnnotationSet, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        with_test_split(annotations, annotations.videos.keys())
