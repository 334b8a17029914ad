"""What is kept of earlier annotations, and how they differ from new ones."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.support import make_annotation_set

from asl_kit.annotations import AnnotationSet
from asl_kit.errors import UsageError
from asl_kit.own_data.carry_over import carry_over
from asl_kit.own_data.changes import find_changes

EARLIER = {"a": ("train", [(0.0, 1.0, "run")]), "b": ("test", [(0.0, 1.0, "jump"), (2.0, 3.0, "run")])}


def make(videos: dict[str, Any], classes: list[str] | None = None) -> AnnotationSet:
    return make_annotation_set(videos, classes or ["jump", "run"])


@pytest.mark.parametrize(
    ("videos", "classes", "expected"),
    [
        ({}, None, {}),
        ({"b": ("test", [(2.0, 3.0, "run"), (0.0, 1.0, "jump")])}, None, {}),
        ({"c": ("train", [])}, None, {"added": {"c": "train"}}),
        ({"a": None}, None, {"removed": {"a": "train"}}),
        ({"a": ("test", EARLIER["a"][1])}, None, {"splits": {"a": ("train", "test")}}),
        ({"a": ("train", [(0.0, 1.0, "run")] * 2)}, None, {"segments": {"a": (1, 0)}}),
        ({"a": ("train", [(0.0, 1.5, "run")])}, None, {"segments": {"a": (1, 1)}}),
        ({"a": ("train", None)}, None, {"segments": {"a": (0, 1)}}),
        ({}, ["jump", "run", "alight"], {"new_classes": ["alight"]}),
        ({}, ["run", "jump"], {"class_order": True}),
    ],
    ids=["none", "order", "added", "removed", "split", "twice", "time", "not annotated", "class", "class order"],
)
def test_changes(videos: dict[str, Any], classes: list[str] | None, expected: dict[str, Any]) -> None:
    now = {name: item for name, item in (EARLIER | videos).items() if item is not None}
    changes = find_changes(make(EARLIER), make(now, classes))
    assert {name: value for name, value in changes.to_json().items() if value} == expected
    assert bool(changes) == bool(expected)
    assert changes.videos == [name for name in EARLIER if videos.get(name, EARLIER[name]) != EARLIER[name] and expected]


def test_other_facts() -> None:
    earlier = make(EARLIER)
    other = {"a": earlier.videos["a"].model_copy(update={"fps": 25.0})}
    longer = {"b": earlier.videos["b"].model_copy(update={"duration": 101.0})}
    now = earlier.model_copy(update={"videos": other | longer})
    changes = find_changes(earlier, now)
    assert (changes.other, changes.durations_s) == (["a"], {"b": (100.0, 101.0)})


@pytest.mark.parametrize(
    ("earlier", "now", "expected"),
    [
        (["run", "jump"], ["jump", "run"], ["run", "jump"]),
        (["jump", "run"], ["alight", "jump", "run"], ["jump", "run", "alight"]),
        (["jump", "hop", "run"], ["crawl", "jump", "run", "walk"], ["jump", "run", "crawl", "walk"]),
    ],
    ids=["order", "one more", "one less"],
)
def test_earlier_classes_come_first(earlier: list[str], now: list[str], expected: list[str]) -> None:
    rows = {"a": ("train", [(0.0, 1.0, "run")])}
    project = make(rows, earlier).model_copy(update={"dataset": "first"})
    found = carry_over(make(rows, now), project, {"a"}, source="t.csv")
    assert found.classes() == expected
    assert found.dataset == "first"


@pytest.mark.parametrize(
    ("end_s", "readable", "expected_s"),
    [(5.0, {"a"}, 5.0), (5.0, set(), 9.0), (9.1, set(), 9.0), (9.2, set(), 9.2)],
    ids=["a file", "no file", "within the tolerance", "a segment after the earlier end"],
)
def test_a_known_duration_stays_without_a_file(end_s: float, readable: set[str], expected_s: float) -> None:
    def of(duration_s: float, end_s: float) -> AnnotationSet:
        annotations = make({"a": ("train", [(0.0, end_s, "run")])})
        return annotations.model_copy(
            update={"videos": {"a": annotations.videos["a"].model_copy(update={"duration": duration_s})}}
        )

    found = carry_over(of(end_s, end_s), of(9.0, 4.0), readable, source="t.csv")
    assert found.videos["a"].duration == expected_s


def test_no_video_in_common() -> None:
    with pytest.raises(UsageError, match=r"t\.csv: none of the 2 videos of the project is in it: a, b"):
        carry_over(make({"c": ("train", [])}), make(EARLIER), {"c"}, source="t.csv")
