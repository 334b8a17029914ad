from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from asl_kit.errors import StoreError
from asl_kit.store import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def test_attempts_come_back_in_order_of_time_over_all_workers(ledger: Ledger) -> None:
    ledger.record("a", "done", seconds=1.25, worker="two")
    ledger.record("b", "failed", "no video stream", worker="one")
    ledger.record("b", "skipped", reason="é", worker="two")
    found = list(ledger.attempts())
    assert [(a.worker, a.video_id, a.outcome, a.reason, a.seconds) for a in found] == [
        ("two", "a", "done", "", 1.25),
        ("one", "b", "failed", "no video stream", 0.0),
        ("two", "b", "skipped", "é", 0.0),
    ]
    assert {path.name for path in ledger.folder.iterdir()} == {"one.jsonl", "two.jsonl"}


def test_failures_are_the_videos_whose_last_attempt_failed(ledger: Ledger) -> None:
    for video_id, outcome, reason in [
        ("mended", "failed", "disk"),
        ("mended", "done", ""),
        ("broken", "failed", "first reason"),
        ("broken", "failed", "last reason"),
        ("broken", "skipped", "failed before"),
        ("fine", "done", ""),
    ]:
        ledger.record(video_id, outcome, reason)
    assert ledger.failures() == {"broken": "last reason"}


def test_a_worker_is_named_after_host_and_process(ledger: Ledger) -> None:
    ledger.record("a", "done")
    assert next(ledger.attempts()).worker == f"{socket.gethostname()}-{os.getpid()}"


def test_a_workers_name_cannot_leave_the_folder(ledger: Ledger) -> None:
    ledger.record("a", "done", worker="../../ray/node 1")
    assert [path.name for path in ledger.folder.iterdir()] == ["%2E.%2F..%2Fray%2Fnode%201.jsonl"]
    assert next(ledger.attempts()).worker == "../../ray/node 1"


def test_there_are_no_attempts_before_the_first(ledger: Ledger) -> None:
    assert list(ledger.attempts()) == []


@pytest.mark.parametrize("kept_bytes", [0, 1, 20, -2, -1])
def test_a_line_torn_by_a_kill_is_passed_over_and_swallows_nothing(ledger: Ledger, kept_bytes: int) -> None:
    for video_id in "ab":
        ledger.record(video_id, "done", worker="w")
    path = ledger.folder / "w.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept_bytes])
    whole = kept_bytes == -1  # only the line's end is missing
    assert [attempt.video_id for attempt in ledger.attempts()] == ["a", *"b" * whole]
    ledger.record("c", "done", worker="w")
    assert [attempt.video_id for attempt in ledger.attempts()] == ["a", *"b" * whole, "c"]


_NO_TEXT = '{"time": "x", "worker": "w", "video_id": [], "outcome": "done", "reason": "", "seconds": 0}'


@pytest.mark.parametrize(
    "line", ["[]", "7", '{"time": "x"}', '{"other": 1}', "\x00\x00", "\udcff", "[" * 10_000, _NO_TEXT]
)
def test_a_line_of_another_kind_is_passed_over(ledger: Ledger, line: str) -> None:
    ledger.record("a", "done", worker="w")
    with (ledger.folder / "w.jsonl").open("ab") as file:
        file.write(line.encode("utf-8", "surrogateescape") + b"\n")
    assert [attempt.video_id for attempt in ledger.attempts()] == ["a"]


def test_a_ledger_that_cannot_be_written_is_an_error_that_names_folder_and_video(ledger: Ledger) -> None:
    ledger.folder.write_text("in the way")
    with pytest.raises(StoreError, match=r"ledger: cannot record video 'a'"):
        ledger.record("a", "done", worker="w")
