import doctest

import pytest

from asl_kit.annotations import column_words, time_units
from asl_kit.annotations.time_units import Span, unit_hint, unit_note


def test_examples() -> None:
    assert doctest.testmod(time_units) == (0, 1)
    assert doctest.testmod(column_words).failed == 0


HINTS = {
    "frames at the stated rate": ([Span(0.0, 1499.0, 60.0, 25.0)], "frame numbers or milliseconds"),
    "more than the frames": ([Span(0.0, 1600.0, 60.0, 25.0)], "look like milliseconds"),
    "rate not known": ([Span(0.0, 1600.0, 60.0, None)], "frame numbers or milliseconds"),
    "more than any rate": ([Span(0.0, 16000.0, 60.0, None)], "look like milliseconds"),
    "no whole numbers": ([Span(0.5, 1499.0, 60.0, 25.0)], "look like milliseconds"),
    "a little too long": ([Span(0.0, 61.0, 60.0, 25.0)], None),
    "more than milliseconds": ([Span(0.0, 61000.0, 60.0, 25.0)], None),
    "within the video": ([Span(0.0, 59.0, 60.0, 25.0)], None),
}


@pytest.mark.parametrize(("spans", "hint"), HINTS.values(), ids=HINTS)
def test_unit_by_size(spans, hint):
    assert (hint or "") in (unit_hint(spans) or "")
    assert (unit_hint(spans) is None) == (hint is None)


def test_no_segments_are_no_doubt() -> None:
    assert unit_hint([]) is None
    assert unit_note([]) is None
