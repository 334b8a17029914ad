"""One or several feature stores read as one, their streams joined by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_kit.errors import FeatureError
from asl_kit.grid import FeatureGrid
from asl_kit.store import FeatureStore, VideoInfo
from asl_kit.store.spec import ExtractionSpec


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
