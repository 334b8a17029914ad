"""Which names look alike, and which one was probably meant."""

from __future__ import annotations

import doctest

import pytest

from asl_kit.base import similar_names
from asl_kit.base.similar_names import close_matches, one_letter_from


def test_examples() -> None:
    assert doctest.testmod(similar_names) == (0, 3)


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        pytest.param("DRINK", ["eat", "drink"], ["drink"], id="capitals"),
        pytest.param("DRINKING COFFEE", ["eat", "drinking_coffee"], ["drinking_coffee"], id="underscores"),
        pytest.param("DRINC", ["eat", "Drink"], ["Drink"], id="misspelt, too"),
        pytest.param("fly", ["eat", "drink"], [], id="nothing like it"),
        pytest.param("drink up", ["drinkup", "Drink Up", "drinks"], ["drinkup", "Drink Up"], id="several spellings"),
        pytest.param("x", [], [], id="nothing known"),
    ],
)
def test_close_matches(name: str, known: list[str], expected: list[str]) -> None:
    assert close_matches(name, known, n=2) == expected[:2]
    assert close_matches(name, known) == expected[:1]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("annotation", "annotations"), ("lable", "label"), ("Label", "label"), ("labelz", "label"), ("fps", None)],
)
def test_one_letter_from(name, meant):
    assert one_letter_from(name, ["annotations", "label"]) == meant
