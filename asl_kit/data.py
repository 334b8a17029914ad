"""Annotations and feature stores joined into items: one video with its features, its grid and its segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_kit.annotations import AnnotationSet
from asl_kit.errors import AnnotationError, FeatureError, StoreError
from asl_kit.extraction_spec import ExtractionSpec
from asl_kit.grid import FeatureGrid
from asl_kit.manifest import find_manifest
from asl_kit.model.assignment import UNLABELLED
from asl_kit.store import FeatureStore, VideoInfo


@dataclass(frozen=True)
class VideoItem:
    """One annotated video that has features."""

    video_id: str
    duration_s: float
    """Of the video file, as the store knows it: annotations may know no more than where the last action ends."""
    grid: FeatureGrid
    """Of the first feature stream, onto which the others are resampled."""
    segments_s: NDArray[np.float64]
    """(N, 2): start and end of each action, in seconds."""
    labels: NDArray[np.int64]
    """(N, V): class of each in each vocabulary, counted through all vocabularies; `UNLABELLED` where it has none."""


class FeatureReader:
    """One or several stores read as one: streams joined by time, not by index.

    Parameters
    ----------
    paths : path or sequence of paths
        Feature stores. The first one's grid is used; the others are interpolated linearly at its centres.
    resize_length : int, optional
        Number of features that every video is resized to, by linear interpolation, over the time that they cover.

    Raises
    ------
    StoreError
        If a path is not a feature store.
    """

    def __init__(self, paths: str | Path | Sequence[str | Path], *, resize_length: int | None = None) -> None:
        self.stores = [FeatureStore.open(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
        self.resize_length = resize_length

    @property
    def specs(self) -> list[ExtractionSpec]:
        """How each stream was made."""
        return [store.spec for store in self.stores]

    @property
    def dims(self) -> list[int]:
        """Feature dimensions of each stream."""
        return [spec.feature_dim for spec in self.specs]

    def video_ids(self) -> list[str]:
        """Return the ids of the videos that every store holds, sorted."""
        return [video_id for video_id in self.stores[0].video_ids() if video_id in self]

    def __contains__(self, video_id: str) -> bool:
        return all(video_id in store for store in self.stores)

    def info(self, video_id: str) -> VideoInfo:
        """Return what the first stream's store knows of a video: its duration, its grid, resized if that is wanted."""
        info = self.stores[0].info(video_id)
        if self.resize_length is None or info.grid.length == 0:
            return info
        return replace(info, grid=info.grid.resized(self.resize_length))

    def read(self, video_id: str) -> NDArray[np.float32]:
        """Return the features of a video, all streams side by side: (T, D) float32.

        Raises
        ------
        FeatureError
            If a value is not finite.
        """
        streams = []
        for store in self.stores:
            features = np.asarray(store.read(video_id), dtype=np.float32)
            if not np.isfinite(features).all():
                first = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
                raise FeatureError(
                    f"{store.path}: video {video_id}: feature {first} is not finite",
                    hint="extract this video again, or find out why with `asl-kit store verify`",
                )
            grid, onto = store.info(video_id).grid, self.info(video_id).grid
            streams.append(features if grid == onto else resample(features, grid, onto))
        return streams[0] if len(streams) == 1 else np.concatenate(streams, axis=1)


def resample(features: NDArray[np.float32], grid: FeatureGrid, onto: FeatureGrid) -> NDArray[np.float32]:
    """Interpolate features linearly at the centres of another grid; beyond the ends the nearest is repeated.

    Parameters
    ----------
    features : (T, D) array
        On `grid`.
    grid, onto : FeatureGrid
        Where they are, and where they are wanted.

    Returns
    -------
    (onto.length, D) array
        The features at the wanted times.
    """
    index = np.clip(grid.to_index(onto.centers_s()), 0, max(len(features) - 1, 0))
    low = np.floor(index).astype(np.int64)
    high = np.minimum(low + 1, len(features) - 1)
    share = (index - low).astype(np.float32)[:, None]
    return features[low] * (1 - share) + features[high] * share


@dataclass(frozen=True)
class Split:
    """The videos of a split: those that can be used, and those that cannot, by reason."""

    items: list[VideoItem]
    without_features: list[str]
    not_annotated: list[str]


def load_split(
    annotations: AnnotationSet, name: str, streams: FeatureReader, vocabularies: Mapping[str, Sequence[str]]
) -> Split:
    """Join a split's annotations with the features.

    Parameters
    ----------
    annotations : AnnotationSet
        Unified annotations.
    name : str
        The split.
    streams : FeatureReader
        The features.
    vocabularies : mapping of str to sequence of str
        Whose labels are taken ("": those of the only one), and the order of their classes: a label's index is its
        place in all of them, one after the other. Segments without a label in any are left out.

    Raises
    ------
    AnnotationError
        If there is no such split or vocabulary, or a label is not among the classes.
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
        if video.segments is None:
            not_annotated.append(video_id)
            continue
        if video_id not in streams:
            without_features.append(video_id)
            continue
        info = streams.info(video_id)
        if info.grid.length == 0:
            without_features.append(video_id)
            continue
        labelled = [segment for segment in video.segments if not indices.keys().isdisjoint(segment.labels)]
        for vocabulary, index in indices.items():
            unknown = {
                segment.labels[vocabulary] for segment in labelled if vocabulary in segment.labels
            } - index.keys()
            if unknown:
                raise AnnotationError(
                    f"video {video_id}: class {min(unknown)!r} is not among the {len(index)} classes of the model",
                    hint=f"the model knows: {', '.join(list(index)[:10])}{', ...' if len(index) > 10 else ''}",
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
        where = ", ".join(str(store.path) for store in streams.stores)
        raise StoreError(
            f"no video of split {name!r} has features in {where}: {len(videos)} videos in the split,"
            f" {len(without_features)} without features, {len(not_annotated)} not annotated",
            hint="the ids of the annotations and of the store must agree: compare with `asl-kit store list`",
        )
    return Split(items, without_features, not_annotated)


TRAINING_NAMES = ("train", "training")
VALIDATION_NAMES = ("val", "validation", "valid", "dev")


def training_split(annotations: AnnotationSet, wanted: str) -> str:
    """Return the split to train on: the wanted one, or for `auto` the manifest's, or `train` or `training`.

    Raises
    ------
    AnnotationError
        If `auto` finds none.
    """
    if wanted != "auto":
        return wanted
    manifest = find_manifest(annotations.dataset)
    if manifest is not None:
        return manifest.splits.train
    splits = {video.split for video in annotations.videos.values()}
    for name in TRAINING_NAMES:
        if name in splits:
            return name
    raise AnnotationError(
        f"no split named {' or '.join(TRAINING_NAMES)}; the annotations have: {', '.join(sorted(splits))}",
        hint="name it with --set data.train_split=NAME",
    )


def validation_split(annotations: AnnotationSet, wanted: str, trained_on: str) -> str | None:
    """Return the split to score while training, or None.

    `auto` never takes a split that results are reported on, since choosing a
    checkpoint by it would flatter the result.
    """
    if wanted != "auto":
        return None if wanted == "none" else wanted
    manifest = find_manifest(annotations.dataset)
    reported = manifest.splits.evaluate if manifest is not None else None
    splits = {video.split for video in annotations.videos.values()} - {trained_on, reported}
    return next((name for name in VALIDATION_NAMES if name in splits), None)


def feature_statistics(
    streams: FeatureReader, items: Sequence[VideoItem]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of every feature dimension over these videos: (D,) and (D,)."""
    dims = sum(streams.dims)
    count, total, squares = 0, np.zeros(dims), np.zeros(dims)
    # Sums around the first feature, so that a large mean does not swallow a small deviation.
    origin: NDArray[np.float64] | None = None
    for item in items:
        features = streams.read(item.video_id).astype(np.float64)
        origin = features[0].copy() if origin is None else origin
        features -= origin
        count += len(features)
        total += features.sum(axis=0)
        squares += (features**2).sum(axis=0)
    if origin is None:
        raise StoreError("no features to take statistics of")
    mean = total / count
    return origin + mean, np.sqrt(np.maximum(squares / count - mean**2, 0))
