"""Frames on their way to a GPU, with stand-ins for its streams."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.extraction import make_extractor
from helpers.fake_cuda import FakeEvent, fake_streams
from torch._subclasses import FakeTensorMode

from asl_extract import extractor
from asl_extract.decoding.events import Decoded
from asl_extract.frame_copies import FrameCopies
from asl_extract.pipeline import FeaturePipeline

CUDA = torch.device("cuda:0")


def test_buffers_are_released_after_their_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    log = fake_streams(monkeypatch)
    copies = FrameCopies(CUDA)
    with FakeTensorMode(allow_non_fake_inputs=True):
        for number in range(3):
            frames = np.zeros((2, 4, 4, 3), np.uint8)
            found = copies.to_device(Decoded(2, frames, release=lambda number=number: log.append(f"release {number}")))  # type: ignore[misc]
            assert (found.device, found.shape) == (CUDA, (2, 4, 4, 3))
    of_each = [[f"computing waits for stream 1 {number}", "computing reads"] for number in (1, 2, 3)]
    first, second = (["host waits for stream 1 1", "release 0"], ["host waits for stream 1 2", "release 1"])
    assert log == [*of_each[0], *of_each[1], *first, *of_each[2], *second]
    copies.finish()
    assert log[-2:] == ["host waits for stream 1 3", "release 2"]
    copies.finish()
    assert len(log) == 12


def test_frames_decoded_on_the_gpu_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    log = fake_streams(monkeypatch)
    copies = FrameCopies(CUDA)
    frames = torch.zeros((2, 4, 4, 3), dtype=torch.uint8)
    ready = FakeEvent(log, "decoding")
    event = Decoded(2, frames, release=lambda: log.append("release"), ready=ready)  # type: ignore[arg-type]
    assert copies.to_device(event) is frames
    assert log == ["computing waits for decoding", "computing reads", "release"]


def test_an_extractor_waits_for_copies_before_the_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {}

    def decode(videos: object, settings: object, **options: object):  # type: ignore[no-untyped-def]
        given.update(options)
        yield from ()

    monkeypatch.setattr(extractor, "decode_in_workers", decode)
    small = make_extractor(backbone="x3d_xs", weights="random", frame_size=64)
    assert list(small.extract_all([], workers=1)) == []
    assert given["finish_copies"].__func__ is FeaturePipeline.finish_copies  # type: ignore[attr-defined]
