"""Training sequences: random cuts of videos, in batches, read ahead of the training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import VideoItem
from asl_kit.model.assignment import Truth
from asl_kit.model.collectives import processes, rank

CUT_ATTEMPTS = 50  # random places tried for a cut that holds an action
POOL_BATCHES = 8  # videos of so many batches, drawn at random, are dealt to batches by length
BATCHES_AHEAD = 2


@dataclass(frozen=True)
class TrainingSequence:
    """One training sequence."""

    features: Tensor
    """(T, D) float32."""
    segments: Tensor
    """(N, 2) float32, in features."""
    labels: Tensor
    """(N, V) int64: see `Truth`."""


@dataclass(frozen=True)
class Batch:
    """Sequences padded to one length."""

    features: Tensor
    """(B, T, D) float32; zeros behind each sequence."""
    mask: Tensor
    """(B, T) bool."""
    truth: Truth
    video_ids: tuple[str, ...]

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """Return the batch in memory from which a GPU copies while it computes."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(change(self.features), change(self.mask), Truth(*(change(t) for t in self.truth)), self.video_ids)


def plan_cut(
    length: int,
    segments: NDArray[np.float64],
    *,
    longest: int,
    crop_ratio: tuple[float, float],
    min_segment_share: float,
    random: np.random.Generator,
) -> tuple[int, int, NDArray[np.float64], NDArray[np.int64]]:
    """Choose the part of a video to train on. Pure: no features are read.

    A video longer than `longest` is cut to it; a shorter one to a random share
    in `crop_ratio`. Places that keep a segment are preferred where the video has any.

    Parameters
    ----------
    length : int
        Features of the video.
    segments : (N, 2) array
        In features.
    longest : int
        Features of a training sequence, at most.
    crop_ratio : pair of float
        Smallest and largest share to keep of a video that need not be cut.
    min_segment_share : float
        A segment is kept if at least this share of it lies in the cut.
    random : numpy.random.Generator
        Source of the choices.

    Returns
    -------
    start, stop : int
        The cut, in features.
    segments : (M, 2) array
        The kept segments, clipped, counted from `start`.
    kept : (M,) array of int
        Their places in the input.
    """
    size = longest
    if length <= longest:
        low, high = (min(max(round(ratio * length), 1), length) for ratio in crop_ratio)
        size = int(random.integers(low, high, endpoint=True))
    start, kept, clipped = 0, np.arange(0), segments
    for _ in range(CUT_ATTEMPTS):
        start = int(random.integers(0, length - size, endpoint=True))
        # A feature stands for half a step on either side of its centre.
        clipped = segments.clip(start - 0.5, start + size - 0.5)
        share = (clipped[:, 1] - clipped[:, 0]) / np.maximum(segments[:, 1] - segments[:, 0], 1e-9)
        kept = np.flatnonzero((share >= min_segment_share) & (clipped[:, 1] > clipped[:, 0]))
        if len(kept) or not len(segments):
            break
    return start, start + size, clipped[kept] - start, kept


def plan_batches(
    lengths: NDArray[np.int64], *, batch_size: int, random: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Deal videos to batches in random order, those of like length together, so that little is padded.

    Parameters
    ----------
    lengths : (N,) array
        Features of each video's training sequence.
    batch_size : int
        Videos per batch; one batch may be smaller.
    random : numpy.random.Generator
        Source of the order.

    Returns
    -------
    list of (batch_size,) arrays
        The places of each batch's videos; every video is in one.
    """
    order = random.permutation(len(lengths))
    size = POOL_BATCHES * batch_size
    pools = [order[start : start + size] for start in range(0, len(order), size)]
    dealt = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    batches = [dealt[start : start + batch_size] for start in range(0, len(dealt), batch_size)]
    return [batches[place] for place in random.permutation(len(batches))]


class TrainingSequences:
    """The training videos as batches of random cuts.

    Every cut depends on seed, epoch and video alone, so that a resumed run sees the same ones.

    Parameters
    ----------
    items : sequence of VideoItem
        The videos.
    reader : FeatureReader
        Their features.
    batch_size : int
        Videos per batch; one batch of an epoch may be smaller.
    longest, crop_ratio, min_segment_share
        See `plan_cut`.
    seed : int
        Of order and cuts.
    pin_memory : bool
        Whether a GPU will fetch the batches.
    """

    def __init__(
        self,
        items: Sequence[VideoItem],
        reader: FeatureReader,
        *,
        batch_size: int,
        longest: int,
        crop_ratio: tuple[float, float],
        min_segment_share: float,
        seed: int,
        pin_memory: bool = False,
    ) -> None:
        self.items = items
        self.reader = reader
        self.batch_size = batch_size
        self.longest = longest
        self.crop_ratio = crop_ratio
        self.min_segment_share = min_segment_share
        self.seed = seed
        self.pin_memory = pin_memory

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.items) // self.batch_size)

    def epoch(self, epoch: int, padded_length: Callable[[int], int], *, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, reading ahead in a thread.

        Where several processes train together, each gets its videos of every batch, padded to their own length;
        a process without any gets an empty sequence.

        Parameters
        ----------
        epoch : int
            From 0.
        padded_length : callable
            Length to which a batch's longest sequence is padded: `Localizer.padded_length`.
        first : int
            Batch to begin with: those before it were trained on already.
        """
        lengths = np.array([min(item.grid.length, self.longest) for item in self.items])
        random = np.random.default_rng([self.seed, epoch])
        batches = plan_batches(lengths, batch_size=self.batch_size, random=random)[first:]
        empty = TrainingSequence(
            torch.zeros(0, sum(self.reader.dims)),
            torch.zeros(0, 2),
            torch.zeros(0, self.items[0].labels.shape[1], dtype=torch.int64),
        )

        def load(batch: NDArray[np.int64]) -> Batch:
            own = batch[rank() :: processes()]
            loaded = collate(
                [self._sequence(epoch, int(place)) for place in own] or [empty],
                [self.items[int(place)].video_id for place in own],
                padded_length,
            )
            return loaded.pinned() if self.pin_memory else loaded

        with ThreadPoolExecutor(max_workers=1) as reader:
            pending = [reader.submit(load, batch) for batch in batches[:BATCHES_AHEAD]]
            for place in range(len(batches)):
                ready = pending.pop(0).result()
                if place + BATCHES_AHEAD < len(batches):
                    pending.append(reader.submit(load, batches[place + BATCHES_AHEAD]))
                yield ready

    def _sequence(self, epoch: int, place: int) -> TrainingSequence:
        item = self.items[place]
        start, stop, segments, kept = plan_cut(
            item.grid.length,
            item.grid.to_index(item.segments_s),
            longest=self.longest,
            crop_ratio=self.crop_ratio,
            min_segment_share=self.min_segment_share,
            random=np.random.default_rng([self.seed, epoch, place]),
        )
        features = self.reader.read(item.video_id)[start:stop]
        return TrainingSequence(
            torch.from_numpy(features), torch.from_numpy(segments).float(), torch.from_numpy(item.labels[kept])
        )


def collate(
    sequences: Sequence[TrainingSequence], video_ids: Sequence[str], padded_length: Callable[[int], int]
) -> Batch:
    """Pad sequences to one length."""
    lengths = torch.tensor([len(sequence.features) for sequence in sequences])
    padded = padded_length(int(lengths.max()))
    features = torch.zeros(len(sequences), padded, sequences[0].features.shape[1])
    for row, sequence in zip(features, sequences, strict=True):
        row[: len(sequence.features)] = sequence.features
    return Batch(
        features,
        torch.arange(padded) < lengths[:, None],
        Truth.collate([s.segments for s in sequences], [s.labels for s in sequences], "cpu"),
        tuple(video_ids),
    )
