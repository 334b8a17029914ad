"""One or several feature stores read as one, their streams joined by time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from asl_kit.dataset.streams import FeatureStream, join_streams, joined_grid
from asl_kit.recipes.schema import DataRecipe
from asl_kit.remote.address import Place
from asl_kit.store import FeatureStore, VideoInfo
from asl_kit.store.spec import ExtractionSpec


class FeatureReader:
    """One or several stores read as one: streams joined by time, not by index.

    Parameters
    ----------
    paths : path, address or sequence of them
        Feature stores. Features of the others are interpolated linearly at the centres of the first store's grid.
    recipe : DataRecipe, optional
        Its `resize_length` and `time_scale`: what every video is resized to, by linear interpolation over the same
        time. None: videos are not resized.

    Raises
    ------
    StoreError
        If a path is not a feature store.
    """

    def __init__(self, paths: Place | Sequence[Place], recipe: DataRecipe | None = None) -> None:
        self.stores = [FeatureStore.open(path) for path in ([paths] if isinstance(paths, Place) else paths)]
        self._recipe = recipe or DataRecipe()

    @property
    def specs(self) -> list[ExtractionSpec]:
        """The extraction spec of each store."""
        return [store.spec for store in self.stores]

    @property
    def dims(self) -> list[int]:
        """The feature dimension of each store."""
        return [spec.feature_dim for spec in self.specs]

    def video_ids(self) -> list[str]:
        """Return the sorted ids of the videos that every store holds."""
        return [video_id for video_id in self.stores[0].video_ids() if video_id in self]

    def __contains__(self, video_id: str) -> bool:
        return all(video_id in store for store in self.stores)

    def info(self, video_id: str) -> VideoInfo:
        """Return the facts of a video in the first store, with the grid of the features that `read` returns."""
        info = self.stores[0].info(video_id)
        return replace(info, grid=joined_grid(info.grid, self._recipe))

    def read(self, video_id: str) -> NDArray[np.float32]:
        """Return the features of a video, all streams side by side: (T, D) float32.

        Raises
        ------
        FeatureError
            If a value is not finite.
        """
        streams = [
            FeatureStream(store.read(video_id), store.info(video_id).grid, f"{store.path}: video {video_id}")
            for store in self.stores
        ]
        return join_streams(streams, joined_grid(streams[0].grid, self._recipe))

    def sha256(self, video_ids: Iterable[str]) -> str:
        """Return a SHA-256 over the recorded checksums of videos in every store; reads no features."""
        digest = hashlib.sha256()
        for video_id in sorted(set(video_ids)):
            checksums = [store.info(video_id).crc32c for store in self.stores]
            digest.update(json.dumps([video_id, *checksums]).encode())
        return digest.hexdigest()
