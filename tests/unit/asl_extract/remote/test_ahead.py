"""One video is made ready while another is used; nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest
from helpers.processes import wait_until

from asl_extract.decoding.events import NextVideos
from asl_extract.remote.ahead import prepare_ahead, share_ready


def test_one_ahead_and_not_two() -> None:
    taken: list[int] = []
    prepared: list[int] = []
    allowed = threading.Semaphore(0)

    def items() -> Generator[int, None, None]:
        for number in range(4):
            taken.append(number)
            yield number

    def prepare(number: int) -> int:
        allowed.acquire()
        prepared.append(number)
        return -number

    ready = prepare_ahead(items(), prepare, is_slow=lambda number: True)
    assert [next(ready), next(ready)] == [None, None]  # it is not ready, and does not wait
    for number in range(4):
        allowed.release()
        wait_until(lambda: len(prepared) > number, timeout_s=5)  # noqa: B023
        found = None
        while found is None:
            found = next(ready)
        assert found == -number
        assert taken == list(range(min(number + 2, 4)))
    assert list(ready) == []


def test_quick_ones_are_taken_when_they_are_wanted() -> None:
    taken: list[int] = []
    ready = prepare_ahead(iter(range(3)), lambda number: taken.append(number) or number, is_slow=lambda number: False)
    assert next(ready) == 0
    assert taken == [0]
    assert list(ready) == [1, 2]


def test_what_a_thread_raises_is_raised() -> None:
    def fail(number: int) -> int:
        raise ValueError("stop here")

    with pytest.raises(ValueError, match="stop here"):
        list(prepare_ahead([1], fail, is_slow=lambda number: True))


def test_shared_items_without_those_that_were_not_ready() -> None:
    first, second = share_ready([None, 1, None, 2], 2)
    assert list(first) == [None, 1, None, 2]
    assert list(second) == [1, 2]


def test_late_is_not_the_end() -> None:
    videos = NextVideos([None, ("a", ValueError()), None])  # type: ignore[list-item]
    assert videos.take() is None
    assert videos.is_late
    assert videos.limit_s(None) == videos.limit_s(5) == 0.02
    assert videos.take() is not None
    assert not videos.is_late
    assert (videos.take(), videos.is_late) == (None, True)
    assert (videos.take(), videos.is_late) == (None, False)
    assert videos.limit_s(5) == 5
