"""How long a device waits for frames, and what is said about it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from helpers.extraction import make_extractor
from helpers.support import write_video

from asl_extract import device_time
from asl_extract.decoding.workers import choose_workers
from asl_extract.device_time import DeviceTime
from asl_extract.executors.results import VideoResult
from asl_extract.extraction import ExtractionSummary


class Clock:
    """Time on the host, and when the GPU will have done what it was given."""

    def __init__(self) -> None:
        self.host_s = 100.0
        self.done_s = 100.0

    def monotonic(self) -> float:
        return self.host_s

    def work(self, seconds: float) -> None:
        self.done_s = max(self.done_s, self.host_s) + seconds


class TimedEvent:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.at_s = 0.0

    def query(self) -> bool:
        return self.clock.host_s >= self.at_s

    def synchronize(self) -> None:
        self.clock.host_s = max(self.clock.host_s, self.at_s)

    def elapsed_time(self, later: TimedEvent) -> float:
        assert self.query()
        assert later.query()
        return (later.at_s - self.at_s) * 1000


@pytest.mark.parametrize(
    ("decode_s", "work_s", "waited_s"),
    [
        pytest.param(1.0, 0.25, 1.0 + 9 * 0.75, id="decoding limits"),
        pytest.param(1.0, 3.0, 1.0, id="the device limits"),
        pytest.param(1.0, 1.0, 1.0, id="both alike"),
    ],
)
def test_a_gpu_waits_when_it_has_nothing_to_do(
    decode_s: float, work_s: float, waited_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def record(event: TimedEvent) -> TimedEvent:
        event.at_s = clock.done_s = max(clock.done_s, clock.host_s)
        return event

    monkeypatch.setattr(device_time, "time", clock)
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: TimedEvent(clock))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(record_event=record))

    def decode() -> Iterator[int]:
        for number in range(10):
            clock.host_s += decode_s
            yield number

    measured = DeviceTime(torch.device("cuda"))
    for _ in measured.timed(decode()):
        clock.work(work_s)
    assert measured.waited_s == pytest.approx(waited_s)
    assert measured.seconds == pytest.approx(10 * decode_s)


def test_a_cpu_waits_while_the_host_does() -> None:
    def decode() -> Iterator[int]:
        for number in range(3):
            time.sleep(0.05)
            yield number

    measured = DeviceTime(torch.device("cpu"))
    for _ in measured.timed(decode()):
        time.sleep(0.1)
    assert 0.15 <= measured.waited_s <= measured.seconds - 0.3


def test_an_extractor_counts_the_time(tmp_path: object) -> None:
    extractor = make_extractor(backbone="x3d_xs", weights="random", frame_size=32)
    path = write_video(tmp_path / "v.mp4", frames=40)  # type: ignore[operator]
    extractor.extract(path)
    first = extractor.count.seconds
    assert 0 < extractor.count.waited_s < first
    extractor.extract(path)
    assert extractor.count.seconds > first


@pytest.mark.parametrize(
    ("waited_s", "seconds", "workers", "line"),
    [
        (62.0, 100.0, 7, "decoding limits: the device waited 62% of the time; 12 more --workers for each device"),
        (62.0, 100.0, 0, "decoding limits: the device waited 62% of the time"),
        (62.0, 100.0, None, "decoding limits: the device waited 62% of the time"),
        (9.0, 100.0, 7, None),
        (0.0, 0.0, 1, None),  # a CPU
    ],
)
def test_line(waited_s: float, seconds: float, workers: int | None, line: str | None) -> None:
    summary = ExtractionSummary("store", workers=workers)
    for name in "ab":
        summary.add(VideoResult(name, "done", device_s=seconds / 2, device_waited_s=waited_s / 2))
    lines = [text for text in summary.to_text().splitlines() if text.startswith("decoding limits")]
    assert len(lines) == (line is not None)
    if line is not None:
        assert lines[0].startswith(line)
        assert lines[0].endswith("of the time") == (not workers)


@pytest.mark.parametrize(("cores", "devices", "expected"), [(64, 1, 63), (64, 8, 7), (2, 1, 1), (1, 1, 1), (8, 8, 1)])
def test_all_cores_but_one_decode_for_a_gpu(
    cores: int, devices: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    assert choose_workers("cuda", decoder="pyav", devices=devices) == expected
    assert choose_workers("cpu", decoder="pyav", devices=devices) == 1
