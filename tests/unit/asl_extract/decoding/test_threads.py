"""Decoding by threads, as on a GPU, with the CPU in its place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fake_cuda import fake_streams
from helpers.support import write_video

from asl_extract.decoding import threads as decoder_threads
from asl_extract.decoding.events import Decoded, DecodeSettings, Event, Failed, Finished, Opened, decode_here
from asl_extract.decoding.threads import decode_in_threads
from asl_kit.errors import AslKitError, VideoError

SETTINGS = DecodeSettings(decoder="pyav", threads=1, window_frames=16, stride_frames=4, clip_frames=4)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path | AslKitError]]:
    folder = tmp_path_factory.mktemp("videos")
    paths: list[Any] = [write_video(folder / f"{i}.mp4", frames=40 + i, size=(64, 48)) for i in range(5)]
    paths.insert(2, folder / "broken.mp4")
    paths[2].write_text("no video")
    paths.append(VideoError("two files have this id"))
    return [(str(index), path) for index, path in enumerate(paths)]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "asl-kit decoder"]


def summary(events: Iterator[tuple[str, Event]]) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for video_id, event in events:
        seen = found.setdefault(video_id, [])
        if isinstance(event, Decoded):
            event.release()
            seen.append((event.count, np.asarray(event.frames).tobytes()))
        elif isinstance(event, Failed):
            seen.append(event.error.message)
        else:
            seen.append(type(event))
    return found


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_events_as_one_after_the_other(threads: int, videos: list[tuple[str, Path | AslKitError]]) -> None:
    expected = summary(decode_here(videos, SETTINGS))
    assert len(expected) == 7
    assert summary(decode_in_threads(videos, SETTINGS, threads=threads)) == expected


def test_several_videos_are_open_at_a_time_and_few_blocks_ahead(videos: list[tuple[str, Path | AslKitError]]) -> None:
    with closing(decode_in_threads(videos[:2], SETTINGS, threads=2)) as events:
        kinds = [next(events) for _ in range(2 + 4)]
        assert {video_id for video_id, event in kinds if isinstance(event, Opened)} == {"0", "1"}
        while not isinstance(event := next(events)[1], Finished):  # three blocks of a video, none of them released
            assert isinstance(event, Decoded)


def test_events_of_a_stream_for_each_thread(
    videos: list[tuple[str, Path | AslKitError]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_streams(monkeypatch)
    plain = list(decode_in_threads(videos[:1], SETTINGS, threads=1))
    assert all(event.ready is None for _, event in plain if isinstance(event, Decoded))

    class Cuda:
        type = "cuda"

    monkeypatch.setattr(decoder_threads.torch, "device", lambda name: Cuda())
    found = [event for _, event in decode_in_threads(videos[:1], SETTINGS, threads=1) if isinstance(event, Decoded)]
    assert [event.ready.name for event in found if event.ready] == ["stream 1 1", "stream 1 2", "stream 1 3"]  # type: ignore[attr-defined]


def test_a_decoder_that_hangs_costs_its_video(
    videos: list[tuple[str, Path | AslKitError]], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = decoder_threads.decode_video
    goes_on = threading.Event()

    def decode_video(path: Path, settings: DecodeSettings) -> Iterator[Event]:
        for event in original(path, settings):
            yield event
            if path.name == "0.mp4":
                goes_on.wait(20)

    monkeypatch.setattr(decoder_threads, "decode_video", decode_video)
    found = summary(decode_in_threads(videos[:2], SETTINGS, threads=1, time_limit_s=1.0))
    goes_on.set()
    assert found["0"][-1] == f"{videos[0][1]}: its decoder delivered nothing for 1 s"
    assert found["1"][-1] is Finished
    deadline_s = time.monotonic() + 10
    while any(thread.name == "asl-kit decoder" for thread in threading.enumerate()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_fault_of_the_device_ends_the_run(
    videos: list[tuple[str, Path | AslKitError]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(decoder_threads.torch, "device", fail)
    (found,) = [event for _, event in decode_in_threads(videos[:1], SETTINGS, threads=1)]
    assert isinstance(found, Failed)
    assert (found.error.message, type(found.error)) == ("cpu: decoding failed: CUDA error: out of memory", AslKitError)
