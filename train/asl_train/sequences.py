"""Training sequences: random crops of videos in batches, read ahead in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asl_kit.dataset.held_features import HeldFeatures
from asl_kit.dataset.split import VideoItem
from asl_kit.model.assignment import Truth
from asl_kit.model.collectives import rank, world_size
from asl_kit.recipes.schema import Recipe

CROP_ATTEMPTS = 50  # random positions tried to find a crop with an action
POOL_BATCHES = 8  # so many batches of randomly drawn videos are sorted by length at a time
BATCHES_AHEAD = 2
CPU = torch.device("cpu")


@dataclass(frozen=True)
class TrainingSequence:
    """One training sequence."""

    features: Tensor
    """(T, D) float32 or float16, on any device."""
    segments: Tensor
    """(N, 2) float32, in features."""
    labels: Tensor
    """(N, V) int64: see `Truth`."""


@dataclass(frozen=True)
class Batch:
    """Sequences padded to one length."""

    features: Tensor
    """(B, T, D) float32; zeros after each sequence."""
    mask: Tensor
    """(B, T) bool."""
    truth: Truth
    video_ids: tuple[str, ...]
    copied: torch.cuda.Event | None = None
    """Recorded after all tensors have been written by another stream than the one that computes."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device; what the current stream does next waits for the tensors."""
        if self.copied is None:
            features, mask, *truth = (tensor.to(device) for tensor in (self.features, self.mask, *self.truth))
            return replace(self, features=features, mask=mask, truth=Truth(*truth))
        stream = torch.cuda.current_stream(device)
        stream.wait_event(self.copied)
        for tensor in (self.features, self.mask, *self.truth):
            tensor.record_stream(stream)
        return self


def plan_crop(
    length: int,
    segments: NDArray[np.float64],
    *,
    longest: int,
    crop_ratio: tuple[float, float],
    min_segment_share: float,
    random: np.random.Generator,
) -> tuple[int, int, NDArray[np.float64], NDArray[np.int64]]:
    """Choose the part of a video to train on, without reading features.

    A video longer than `longest` is cropped to this length, a shorter one to a random share
    in `crop_ratio`. Crops that keep a segment are preferred if the video has any.

    Parameters
    ----------
    length : int
        Number of features of the video.
    segments : (N, 2) array
        Segments in features.
    longest : int
        Maximum length of a training sequence in features.
    crop_ratio : pair of float
        Smallest and largest share to keep of a video that is not too long.
    min_segment_share : float
        A segment is kept if at least this share of it is inside the crop.
    random : numpy.random.Generator
        Random number generator.

    Returns
    -------
    start, stop : int
        The crop in features.
    segments : (M, 2) array
        The kept segments, clipped, relative to `start`.
    kept : (M,) array of int
        Their indices in the input.
    """
    size = longest
    if length <= longest:
        low, high = (min(max(round(ratio * length), 1), length) for ratio in crop_ratio)
        size = int(random.integers(low, high, endpoint=True))
    start, kept, clipped = 0, np.arange(0), segments
    for _ in range(CROP_ATTEMPTS):
        start = int(random.integers(0, length - size, endpoint=True))
        # A feature represents half a step on either side of its centre.
        clipped = segments.clip(start - 0.5, start + size - 0.5)
        share = (clipped[:, 1] - clipped[:, 0]) / np.maximum(segments[:, 1] - segments[:, 0], 1e-9)
        kept = np.flatnonzero((share >= min_segment_share) & (clipped[:, 1] > clipped[:, 0]))
        if len(kept) or not len(segments):
            break
    return start, start + size, clipped[kept] - start, kept


def plan_batches(
    lengths: NDArray[np.int64], *, batch_size: int, random: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Group videos into batches in random order, with similar lengths together to reduce padding.

    Parameters
    ----------
    lengths : (N,) array
        Length of each video's training sequence in features.
    batch_size : int
        Videos per batch; one batch may be smaller.
    random : numpy.random.Generator
        Random number generator.

    Returns
    -------
    list of (batch_size,) arrays
        The indices of each batch's videos; every video is in one batch.
    """
    order = random.permutation(len(lengths))
    size = POOL_BATCHES * batch_size
    pools = [order[start : start + size] for start in range(0, len(order), size)]
    grouped = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    batches = [grouped[start : start + batch_size] for start in range(0, len(grouped), batch_size)]
    return [batches[index] for index in random.permutation(len(batches))]


class TrainingSequences:
    """The training videos as batches of random crops.

    Each crop depends only on seed, epoch and video, so a resumed run sees the same ones.

    Parameters
    ----------
    items : sequence of VideoItem
        The videos.
    features : HeldFeatures
        Their features.
    recipe : Recipe
        Batch size, crops and seed.
    longest : int
        Maximum length of a training sequence in features.
    """

    def __init__(self, items: Sequence[VideoItem], features: HeldFeatures, recipe: Recipe, *, longest: int) -> None:
        self.items = items
        self.features = features
        self.recipe = recipe
        self.longest = longest
        self.device = features.device
        self._stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.items) // self.recipe.optimizer.batch_size)

    def epoch(self, epoch: int, padded_length: Callable[[int], int], *, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch; a thread reads ahead, and on a GPU makes them on a stream of its own.

        If several processes train together, each gets its own videos of every batch, padded to their longest;
        a process without videos gets an empty sequence.

        Parameters
        ----------
        epoch : int
            Epoch number from 0.
        padded_length : callable
            Returns the padded length for the longest sequence of a batch: `Localizer.padded_length`.
        first : int
            First batch to yield; a resumed run has already trained on the batches before it.
        """
        lengths = np.array([min(item.grid.length, self.longest) for item in self.items])
        random = np.random.default_rng([self.recipe.run.seed, epoch])
        batches = plan_batches(lengths, batch_size=self.recipe.optimizer.batch_size, random=random)[first:]
        empty = TrainingSequence(
            torch.zeros(0, sum(self.features.reader.dims)),
            torch.zeros(0, 2),
            torch.zeros(0, self.items[0].labels.shape[1], dtype=torch.int64),
        )

        def load(batch: NDArray[np.int64]) -> Batch:
            own = batch[rank() :: world_size()]
            with nullcontext() if self._stream is None else torch.cuda.stream(self._stream):
                loaded = collate(
                    [self._sequence(epoch, int(index)) for index in own] or [empty],
                    [self.items[int(index)].video_id for index in own],
                    padded_length,
                    self.device,
                )
                return loaded if self._stream is None else replace(loaded, copied=self._stream.record_event())

        with ThreadPoolExecutor(max_workers=1) as thread:
            pending = [thread.submit(load, batch) for batch in batches[:BATCHES_AHEAD]]
            for index in range(len(batches)):
                ready = pending.pop(0).result()
                if index + BATCHES_AHEAD < len(batches):
                    pending.append(thread.submit(load, batches[index + BATCHES_AHEAD]))
                yield ready

    def _sequence(self, epoch: int, index: int) -> TrainingSequence:
        item = self.items[index]
        start, stop, segments, kept = plan_crop(
            item.grid.length,
            item.grid.to_index(item.segments_s),
            longest=self.longest,
            crop_ratio=self.recipe.data.crop_ratio,
            min_segment_share=self.recipe.data.min_segment_share,
            random=np.random.default_rng([self.recipe.run.seed, epoch, index]),
        )
        features = self.features.read(item.video_id)[start:stop]
        return TrainingSequence(features, torch.from_numpy(segments).float(), torch.from_numpy(item.labels[kept]))


def collate(
    sequences: Sequence[TrainingSequence],
    video_ids: Sequence[str],
    padded_length: Callable[[int], int],
    device: torch.device = CPU,
) -> Batch:
    """Pad sequences to one length, on a device."""
    lengths = torch.tensor([len(sequence.features) for sequence in sequences])
    padded = padded_length(int(lengths.max()))
    features = torch.empty(len(sequences), padded, sequences[0].features.shape[1], device=device)
    for row, sequence in zip(features, sequences, strict=True):
        length = len(sequence.features)
        row[:length] = _upload(sequence.features, device)
        row[length:] = 0
    truth = Truth.collate([s.segments for s in sequences], [s.labels for s in sequences], "cpu")
    return Batch(
        features,
        _upload(torch.arange(padded) < lengths[:, None], device),
        Truth(*(_upload(tensor, device) for tensor in truth)),
        tuple(video_ids),
    )


def _upload(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; a GPU copies from pinned memory, which PyTorch keeps for the next copies."""
    if device.type == "cpu" or tensor.is_cuda:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
