"""Random cuts and batches."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asl_train.sequences import TrainingSequence, collate, plan_batches, plan_crop


@given(
    st.integers(1, 400),
    st.integers(1, 200),
    st.lists(st.tuples(st.floats(0, 380), st.floats(0.1, 60)), max_size=6),
    st.integers(0, 2**32 - 1),
)
def test_cuts(length: int, longest: int, rows: list[tuple[float, float]], seed: int) -> None:
    segments = np.array([(start, start + size) for start, size in rows], dtype=np.float64).reshape(-1, 2)
    start, stop, clipped, kept = plan_crop(
        length,
        segments,
        longest=longest,
        crop_ratio=(0.5, 0.9),
        min_segment_share=0.5,
        random=np.random.default_rng(seed),
    )
    assert 0 <= start < stop <= length
    assert stop - start <= longest
    assert len(clipped) == len(kept)
    for (low, high), whole in zip(clipped, segments[kept], strict=True):
        assert -0.5 <= low < high <= stop - start - 0.5
        assert high - low >= 0.5 * (whole[1] - whole[0]) - 1e-9
        assert low + start >= whole[0] - 1e-9
        assert high + start <= whole[1] + 1e-9


def test_a_video_that_fits_can_be_left_whole() -> None:
    segments = np.array([[1.0, 5.0]])
    start, stop, clipped, kept = plan_crop(
        50, segments, longest=64, crop_ratio=(1.0, 1.0), min_segment_share=0.5, random=np.random.default_rng(0)
    )
    assert (start, stop, clipped.tolist(), kept.tolist()) == (0, 50, [[1.0, 5.0]], [0])


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=90), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_every_video_is_in_one_batch(lengths: list[int], batch_size: int, seed: int) -> None:
    batches = plan_batches(np.array(lengths), batch_size=batch_size, random=np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert sorted((len(batch) for batch in batches), reverse=True)[:-1] == [batch_size] * (len(batches) - 1)
    assert len(batches) == -(-len(lengths) // batch_size)


def test_videos_of_like_length_share_a_batch() -> None:
    lengths = np.random.default_rng(0).lognormal(7, 0.7, 200).clip(max=2304).astype(np.int64)
    batches = plan_batches(lengths, batch_size=2, random=np.random.default_rng(1))
    padded = sum(2 * lengths[batch].max() for batch in batches)
    unsorted = lengths.reshape(-1, 2).max(axis=1).sum() * 2
    assert padded < 1.08 * lengths.sum() < unsorted
    # In random order all the same: short and long ones are spread over the epoch.
    halves = [lengths[np.concatenate(part)].mean() for part in (batches[:50], batches[50:])]
    assert 0.8 < halves[0] / halves[1] < 1.25


def test_batches_are_cut_and_padded_alike_from_every_source() -> None:
    whole = torch.randn(2, 12, 3).half()
    truth = (torch.tensor([[1.0, 3.0]]), torch.tensor([[1]]))
    batches = []
    for features in (whole, whole.float()):
        sequences = [TrainingSequence(features[0, 2:9], *truth), TrainingSequence(features[1, :4], *truth)]
        batches.append(collate(sequences, ["a", "b"], lambda length: -(-length // 4) * 4))
    for batch in batches:
        assert batch.features.dtype == torch.float32
        assert torch.equal(batch.features[0, :7], whole[0, 2:9].float())
        assert torch.equal(batch.features[1, :4], whole[1, :4].float())
        assert not batch.features[0, 7:].any()
        assert not batch.features[1, 4:].any()
        assert batch.mask.sum(dim=1).tolist() == [7, 4]


def test_a_gpu_waits_for_a_batch_that_another_stream_has_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the memory of the batch is not reused before the GPU has computed with it. A stand-in is the GPU."""
    calls: list[object] = []
    event: Any = object()
    stream = SimpleNamespace(wait_event=lambda waited: calls.append(("wait", waited)))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, used_by: calls.append((id(tensor), used_by)))
    sequence = TrainingSequence(torch.randn(4, 3), torch.tensor([[1.0, 3.0]]), torch.tensor([[1]]))
    batch = replace(collate([sequence], ["a"], lambda length: length), copied=event)
    assert batch.to(torch.device("cuda:1")) is batch
    tensors = (batch.features, batch.mask, *batch.truth)
    assert calls == [("wait", event), *((id(tensor), stream) for tensor in tensors)]
