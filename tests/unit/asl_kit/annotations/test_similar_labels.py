"""Labels that look alike, and the warning about them."""

from __future__ import annotations

import pytest
from helpers.support import make_annotation_set

from asl_kit.annotations.similar_labels import find_similar_labels, similar_labels_warning


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param(["drink", "eat"], [], id="different"),
        pytest.param(["drink", "Drink", "DRINK"], [{"drink": 1, "Drink": 1, "DRINK": 1}], id="capitals"),
        pytest.param(["DRINKING COFFEE", "drinking_coffee"], [{"DRINKING COFFEE": 1, "drinking_coffee": 1}], id="both"),
        pytest.param(["high jump", "highjump"], [{"high jump": 1, "highjump": 1}], id="space"),
        pytest.param(["run", "run "], [{"run": 1, "run ": 1}], id="space at the end"),
        pytest.param(["Übung", "übung"], [{"Übung": 1, "übung": 1}], id="capital umlaut"),
        pytest.param(["caf\u00e9", "cafe\u0301"], [{"caf\u00e9": 1, "cafe\u0301": 1}], id="encoding of an accent"),
        pytest.param(["drink", "drinks"], [], id="plural"),
        pytest.param(["a", "A", "b", "B"], [{"a": 1, "A": 1}, {"b": 1, "B": 1}], id="two pairs"),
    ],
)
def test_labels_that_look_alike(labels: list[str], expected: list[dict[str, int]]) -> None:
    segments = [(number, number + 1, label) for number, label in enumerate(labels)]
    annotations = make_annotation_set({"a": ("train", segments)}, labels)
    assert [group.segments for group in find_similar_labels(annotations)] == expected


def test_each_vocabulary_has_its_own_labels() -> None:
    annotations = make_annotation_set({}, [], vocabularies={"verb": ["cut"], "noun": ["Cut", "bread"]})
    assert find_similar_labels(annotations) == []


def test_many_groups_are_counted() -> None:
    labels = [label for letter in "abcdefg" for label in (letter, letter.upper())]
    text = similar_labels_warning(find_similar_labels(make_annotation_set({}, labels)))
    assert text.count(" (0)") == 10
    assert "'e' (0) and 'E' (0); and 2 more (--json FILE lists all)." in text
