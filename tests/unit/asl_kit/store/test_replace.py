"""A stored video is replaced as a whole: a kill or a fault leaves the old or the new features."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.support import add_video, make_features, make_spec

from asl_kit.errors import FeatureError, StoreError
from asl_kit.store import FeatureStore, staging

OLD, NEW = make_features(3, seed=1), make_features(1500, seed=2)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open_or_create(tmp_path / "store", make_spec())
    add_video(store, "a/b", OLD)
    add_video(store, "other", OLD)
    return store


def assert_holds(store: FeatureStore, features: Any) -> None:
    """Open the store as the next command does; nothing else is left of what was interrupted."""
    opened = FeatureStore.open_or_create(store.path, make_spec())
    assert opened.video_ids() == ["a/b", "other"]
    np.testing.assert_array_equal(opened.read("a/b"), features.astype(np.float16))
    assert opened.verify() == []
    assert list((store.path / "tmp").iterdir()) == []


def test_replaces(store: FeatureStore) -> None:
    add_video(store, "a/b", NEW, replace=True)
    assert_holds(store, NEW)
    assert [attempt.outcome for attempt in store.ledger.attempts()] == ["done"] * 3


def test_a_video_that_is_not_there_is_added(store: FeatureStore) -> None:
    add_video(store, "new", NEW, replace=True)
    assert store.video_ids() == ["a/b", "new", "other"]


def test_features_that_are_refused_replace_nothing(store: FeatureStore) -> None:
    with pytest.raises(FeatureError, match="feature 0 is nan"):
        add_video(store, "a/b", np.full((2, 4), np.nan, np.float32), replace=True)
    assert_holds(store, OLD)


def interrupt(function: str, number: int, action: Callable[[], None]) -> None:
    """Do something instead of the call `number` of a function of `staging`, counted from 0."""
    place: Any = {"rename": Path, "sync": staging}[function]
    true = getattr(place, function)
    calls = iter(range(1000))

    def call(*arguments: Any) -> Any:
        if next(calls) == number:
            action()
        return true(*arguments)

    setattr(place, function, call)


def replace_and_die(path: Path, function: str, number: int) -> None:
    interrupt(function, number, lambda: os._exit(9))
    add_video(FeatureStore.open(path), "a/b", NEW, replace=True)
    os._exit(0)


# Syncs: zarr.json, two chunks, the staging folder; then the old folder is moved aside.
STEPS = [
    pytest.param("sync", 0, OLD, id="before anything is on disk"),
    pytest.param("sync", 3, OLD, id="before the folder is on disk"),
    pytest.param("rename", 0, OLD, id="before the old one is moved aside"),
    pytest.param("sync", 4, OLD, id="after it"),
    pytest.param("rename", 1, OLD, id="before the new one is moved in"),
    pytest.param("rename", 2, NEW, id="after it"),
    pytest.param("sync", 5, NEW, id="at the end"),
]


@pytest.mark.parametrize(("function", "number", "expected"), STEPS)
def test_a_kill(store: FeatureStore, function: str, number: int, expected: Any) -> None:
    process = multiprocessing.get_context("fork").Process(target=replace_and_die, args=(store.path, function, number))
    process.start()
    process.join()
    assert process.exitcode == 9
    np.testing.assert_array_equal(FeatureStore.open(store.path).read("a/b"), expected.astype(np.float16))
    assert_holds(store, expected)


@pytest.mark.parametrize(("function", "number", "expected"), STEPS)
def test_a_fault(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, function: str, number: int, expected: Any
) -> None:
    def fail() -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "rename", Path.rename)  # restored at the end
    monkeypatch.setattr(staging, "sync", staging.sync)
    interrupt(function, number, fail)
    if (function, number) == ("rename", 2):  # the old one cannot be moved to the staging folder: it is left aside
        add_video(store, "a/b", NEW, replace=True)
    else:
        with pytest.raises(StoreError, match="video 'a/b' cannot be written: Input/output error"):
            add_video(store, "a/b", NEW, replace=True)
    assert_holds(store, expected)


def test_a_process_that_opens_the_store_meanwhile(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It moves the old one back, as after a kill; the writer tries again."""
    monkeypatch.setattr(Path, "rename", Path.rename)

    def open_store() -> None:
        np.testing.assert_array_equal(FeatureStore.open(store.path).read("a/b"), OLD.astype(np.float16))

    interrupt("rename", 1, open_store)
    add_video(store, "a/b", NEW, replace=True)
    assert_holds(store, NEW)
