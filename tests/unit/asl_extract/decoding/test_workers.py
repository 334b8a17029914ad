"""Decoding in processes: the same frames, bounded memory, and workers that crash, hang or lose their parent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from helpers.processes import Process, is_running, shared_memory, wait_until
from helpers.support import write_video

from asl_extract.decoding import workers as decoder_workers
from asl_extract.decoding.events import Decoded, DecodeSettings, Event, Failed, Finished, Opened, decode_here
from asl_extract.decoding.workers import BUFFERS_PER_WORKER, decode_in_workers

SETTINGS = DecodeSettings(decoder="pyav", threads=1, window_frames=16, stride_frames=4, clip_frames=4)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    """Four good videos of different sizes, and a broken one between them."""
    folder = tmp_path_factory.mktemp("videos")
    paths = [write_video(folder / f"{i}.mp4", frames=40 + i, size=(64 + 16 * i, 48)) for i in range(4)]
    paths.insert(2, folder / "broken.mp4")
    paths[2].write_text("no video")
    return [(path.stem, path) for path in paths]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Neither processes nor shared memory outlive a test."""
    yield
    assert active_children() == []
    assert shared_memory(os.getpid()) == []


def summary(events: Iterator[tuple[str, Event]]) -> dict[str, tuple[object, ...]]:
    """Return for each video: (frame count, frames, count of decoded frames, or the error), having checked the order."""
    found: dict[str, list[Event]] = {}
    for video_id, event in events:
        if isinstance(event, Decoded):
            copy = Decoded(event.count, event.frames.copy())
            event.release()
            event = copy
        found.setdefault(video_id, []).append(event)
    result: dict[str, tuple[object, ...]] = {}
    for video_id, (*first, last) in found.items():
        if isinstance(last, Failed):
            result[video_id] = (type(last.error), last.error.message, last.error.hint)
            continue
        assert isinstance(first[0], Opened)
        assert isinstance(last, Finished)
        blocks = [event for event in first[1:] if isinstance(event, Decoded)]
        frames = np.concatenate([block.frames for block in blocks if len(block.frames)])
        result[video_id] = (first[0].plan.frame_count, frames.shape, frames.tobytes(), sum(b.count for b in blocks))
    return result


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("buffer_bytes", [2**20, 20_000, 100], ids=["roomy", "two frames", "less than a frame"])
def test_the_same_events_as_in_this_process(
    workers: int, buffer_bytes: int, videos: list[tuple[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_workers, "_buffer_bytes", lambda workers: buffer_bytes)
    expected = summary(decode_here(videos, SETTINGS))
    assert [len(value) for value in expected.values()] == [4, 4, 3, 4, 4]
    assert summary(decode_in_workers(videos, SETTINGS, workers=workers)) == expected


def test_a_worker_waits_for_a_free_slot(tmp_path: Path) -> None:
    video = write_video(tmp_path / "long.mp4", frames=200)
    blocks = []
    with closing(decode_in_workers([("long", video)], SETTINGS, workers=1, time_limit_s=0.5)) as events:
        assert isinstance(next(events)[1], Opened)
        while len(blocks) < BUFFERS_PER_WORKER:
            event = next(events)[1]
            assert isinstance(event, Decoded)
            blocks.append(event)
        before = [block.frames.copy() for block in blocks]
        time.sleep(1.0)  # over the time limit, which counts against the decoder only while it has a slot
        assert all(np.array_equal(block.frames, copy) for block, copy in zip(blocks, before, strict=True))
        blocks[0].release()
        event = next(events)[1]
        assert isinstance(event, Decoded)
        assert np.shares_memory(event.frames, blocks[0].frames)


def long_and_short(folder: Path) -> list[tuple[str, Path]]:
    frames = {"first": 400, "second": 40, "third": 40}
    return [(name, write_video(folder / f"{name}.mp4", frames=count)) for name, count in frames.items()]


def ends(events: Iterator[tuple[str, Event]]) -> dict[str, tuple[str, str | None] | None]:
    """Return message and hint for each video that failed, None for each that was decoded."""
    found: dict[str, tuple[str, str | None] | None] = {}
    for video_id, event in events:
        if isinstance(event, Decoded):
            event.release()
        elif isinstance(event, Failed):
            found[video_id] = (event.error.message, event.error.hint)
        elif isinstance(event, Finished):
            found[video_id] = None
    return found


@pytest.mark.parametrize(
    ("number", "message", "hint"),
    [
        (signal.SIGSEGV, "the decoder crashed, signal 11 (SIGSEGV)", "try another --decoder"),
        (signal.SIGKILL, "the decoder crashed, signal 9 (SIGKILL)", "the system kills processes when memory is short"),
        (signal.SIGSTOP, "its decoder delivered nothing for 1 s", "try another --decoder, or a longer --time-limit"),
    ],
    ids=["crash", "kill", "hang"],
)
def test_a_lost_worker_costs_its_video(number: int, message: str, hint: str, tmp_path: Path) -> None:
    videos = long_and_short(tmp_path)
    with closing(decode_in_workers(videos, SETTINGS, workers=1, time_limit_s=1.0)) as events:
        assert isinstance(next(events)[1], Opened)
        first = next(events)[1]
        assert isinstance(first, Decoded)
        (worker,) = active_children()
        assert worker.pid is not None
        os.kill(worker.pid, number)
        found = ends(events)
        first.release()  # late, after another worker got the slot: must not be handed to it
    failed = found["first"]
    assert failed is not None
    assert failed[0] == f"{videos[0][1]}: {message}"
    assert str(failed[1]).startswith(hint)
    assert found == {"first": failed, "second": None, "third": None}


def test_a_new_process_gets_no_buffer_whose_frames_are_in_use(tmp_path: Path) -> None:
    """A GPU may still copy frames of a finished video when the process that decoded them dies."""
    first = write_video(tmp_path / "first.mp4", frames=20)
    second = write_video(tmp_path / "second.mp4", frames=200, size=(80, 48))
    with closing(decode_in_workers([("first", first), ("second", second)], SETTINGS, workers=1)) as events:
        held = []
        while not isinstance(event := next(events)[1], Finished):
            if isinstance(event, Decoded):
                held.append(event)
        assert len(held) == BUFFERS_PER_WORKER - 1
        before = [block.frames.copy() for block in held]
        (worker,) = active_children()
        worker.kill()
        worker.join()
        counts = []
        for video_id, event in events:
            assert video_id == "second"
            if isinstance(event, Decoded):
                counts.append(event.count)
                assert not any(np.shares_memory(event.frames, block.frames) for block in held[len(counts) > 5 :])
                event.release()
                if len(counts) == 5:
                    held[0].release()
            assert all(np.array_equal(block.frames, copy) for block, copy in zip(held[1:], before[1:], strict=True))
        assert isinstance(event, Finished)
        assert sum(counts) == 200


def test_the_memory_ends_after_the_last_copy(videos: list[tuple[str, Path]]) -> None:
    log: list[str] = []

    def pin(memory: np.ndarray) -> Callable[[], None]:
        log.append("pinned")
        return lambda: log.append("unpinned")

    def finish_copies() -> None:
        log.append("copied")
        assert len(shared_memory(os.getpid())) == 1
        raise RuntimeError("the device is lost")

    events = decode_in_workers(videos[:1], SETTINGS, workers=1, pin=pin, finish_copies=finish_copies)
    next(events)
    with pytest.raises(RuntimeError, match="the device is lost"):
        events.close()
    assert log == ["pinned", "copied", "unpinned"]


def test_closing_ends_all(tmp_path: Path) -> None:
    events = decode_in_workers(long_and_short(tmp_path), SETTINGS, workers=2)
    assert isinstance(next(events)[1], Opened)
    assert len(active_children()) == 2
    events.close()


def test_a_slow_block_in_this_process(videos: list[tuple[str, Path]]) -> None:
    found = ends(decode_here(videos[:1], SETTINGS, time_limit_s=1e-9))
    message = f"{videos[0][1]}: its decoder delivered nothing for 1e-09 s"
    assert found == {"0": (message, "try another --decoder, or a longer --time-limit with --retry-failed")}


def test_a_script_without_a_main_guard_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    video = write_video(tmp_path / "video.mp4")
    script.write_text(
        "from pathlib import Path\n"
        "from asl_extract.decoding.workers import decode_in_workers\n"
        "from asl_extract.decoding.events import DecodeSettings\n"
        "settings = DecodeSettings('pyav', 1, 16, 4, 4)\n"
        f"list(decode_in_workers([('v', Path({str(video)!r}))], settings, workers=1))\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    assert "decoder processes cannot be started: exit code 1" in result.stderr


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="looks at /dev/shm and /proc")
def test_nothing_outlives_a_killed_parent(tmp_path: Path) -> None:
    (_, video), *_ = long_and_short(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(
        "import time\n"
        "from multiprocessing import active_children\n"
        "from pathlib import Path\n"
        "from asl_extract.decoding.workers import decode_in_workers\n"
        "from asl_extract.decoding.events import DecodeSettings\n"
        "if __name__ == '__main__':\n"
        "    settings = DecodeSettings('pyav', 1, 16, 4, 4)\n"
        f"    videos = [(str(i), Path({str(video)!r})) for i in range(2)]\n"
        "    events = decode_in_workers(videos, settings, workers=2)\n"
        "    next(events)\n"
        "    print(*[child.pid for child in active_children()], flush=True)\n"
        "    time.sleep(60)\n"
    )
    with Process([sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as p:
        assert p.stdout is not None
        workers = [int(pid) for pid in p.stdout.readline().split()]
        assert len(workers) == 2
        assert len(shared_memory(p.pid)) == 1
        p.kill()
        p.wait()
        wait_until(lambda: not (any(map(is_running, workers)) or shared_memory(p.pid)), timeout_s=20)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not hold to RLIMIT_DATA")
def test_a_file_that_wants_too_much_memory_costs_itself_only(tmp_path: Path) -> None:
    sizes = {"small": (64, 48), "large": (6000, 4000), "small again": (64, 48)}  # a large frame has 72 MB
    videos = [(name, write_video(tmp_path / f"{name}.mp4", frames=3, size=size)) for name, size in sizes.items()]
    found = ends(decode_in_workers(videos, replace(SETTINGS, memory_bytes=192 * 2**20), workers=1))
    failed = found.pop("large")
    assert found == {"small": None, "small again": None}
    assert failed is not None
    assert re.search("memory|decoder crashed|0 frames found, 3 expected", failed[0]), failed[0]
    assert ends(decode_in_workers(videos, SETTINGS, workers=1)) == dict.fromkeys(sizes)
