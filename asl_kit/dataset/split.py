"""A split of annotated videos joined with their features: one item per video, with its grid and its segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asl_kit.annotations import AnnotationSet
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.held_features import HeldFeatures
from asl_kit.errors import AnnotationError, StoreError, first_few
from asl_kit.grid import FeatureGrid
from asl_kit.model.assignment import UNLABELLED


@dataclass(frozen=True)
class VideoItem:
    """One annotated video that has features."""

    video_id: str
    duration_s: float
    """Length of the video file, as recorded in the store; annotations may only know where the last action ends."""
    grid: FeatureGrid
    """Grid of the features: see `asl_kit.dataset.streams.joined_grid`."""
    segments_s: NDArray[np.float64]
    """(N, 2): start and end of each action, in seconds."""
    labels: NDArray[np.int64]
    """(N, V): class of each action in each vocabulary, numbered across vocabularies; `UNLABELLED` if it has none."""


@dataclass(frozen=True)
class Split:
    """The videos of a split: those that can be used, and the ids of the others by reason."""

    items: list[VideoItem]
    without_features: list[str]
    not_annotated: list[str]

    def as_one_class(self) -> Split:
        """Return the split with all actions in class 0."""
        return replace(self, items=[replace(item, labels=np.zeros_like(item.labels)) for item in self.items])


def load_split(
    annotations: AnnotationSet,
    name: str,
    reader: FeatureReader,
    vocabularies: Mapping[str, Sequence[str]],
    *,
    with_unannotated: bool = False,
) -> Split:
    """Join a split's annotations with the features.

    Parameters
    ----------
    annotations : AnnotationSet
        Unified annotations.
    name : str
        The split, or several joined by commas.
    reader : FeatureReader
        The features.
    vocabularies : mapping of str to sequence of str
        The vocabularies to read ("": the only one), with their classes in order. A label's index is its place in
        all vocabularies, one after the other. Segments without a label in any of them are dropped.
    with_unannotated : bool
        Whether videos without annotation are items without segments.

    Raises
    ------
    AnnotationError
        If there is no such split or vocabulary, or a label is not one of the classes.
    StoreError
        If no video of the split has features.
    """
    indices: dict[str, dict[str, int]] = {}
    for own, names in vocabularies.items():
        first = sum(len(index) for index in indices.values())
        indices[annotations.vocabulary(own or None)] = {label: first + place for place, label in enumerate(names)}
    items, without_features, not_annotated = [], [], []
    videos = annotations.split(name)
    for video_id, video in videos.items():
        if video.segments is None and not with_unannotated:
            not_annotated.append(video_id)
            continue
        if video_id not in reader or not (info := reader.info(video_id)).grid.length:
            without_features.append(video_id)
            continue
        labelled = [segment for segment in video.segments or () if not indices.keys().isdisjoint(segment.labels)]
        for vocabulary, index in indices.items():
            unknown = {
                segment.labels[vocabulary] for segment in labelled if vocabulary in segment.labels
            } - index.keys()
            if unknown:
                raise AnnotationError(
                    f"video {video_id}: class {min(unknown)!r} is not among the {len(index)} classes of the model",
                    hint=f"the model knows: {first_few(list(index), 10)}",
                )
        labels = [
            [index.get(segment.labels.get(vocabulary, ""), UNLABELLED) for vocabulary, index in indices.items()]
            for segment in labelled
        ]
        items.append(
            VideoItem(
                video_id=video_id,
                duration_s=info.duration_s,
                grid=info.grid,
                segments_s=np.array([(s.start, s.end) for s in labelled], dtype=np.float64).reshape(-1, 2),
                labels=np.array(labels, dtype=np.int64).reshape(-1, len(indices)),
            )
        )
    if not items:
        where = ", ".join(str(store.path) for store in reader.stores)
        raise StoreError(
            f"no video of split {name!r} has features in {where}: {len(videos)} videos in the split,"
            f" {len(without_features)} without features, {len(not_annotated)} not annotated",
            hint="the ids of the annotations and of the store must agree: compare with `asl-kit store list`",
        )
    return Split(items, without_features, not_annotated)


def feature_statistics(
    features: HeldFeatures, items: Sequence[VideoItem]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of every feature dimension over these videos: (D,) and (D,)."""
    dims = sum(features.reader.dims)
    count, total, squares = 0, np.zeros(dims), np.zeros(dims)
    # Sums are taken relative to the first feature, so that a large mean does not cancel a small deviation.
    origin: NDArray[np.float64] | None = None
    for item in items:
        values = features.read(item.video_id).cpu().numpy().astype(np.float64)
        origin = values[0].copy() if origin is None else origin
        values -= origin
        count += len(values)
        total += values.sum(axis=0)
        squares += (values**2).sum(axis=0)
    if origin is None:
        raise StoreError("there are no features to compute statistics of")
    mean = total / count
    return origin + mean, np.sqrt(np.maximum(squares / count - mean**2, 0))
