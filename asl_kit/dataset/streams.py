"""Feature streams joined by time: the one way in which training, evaluation and prediction do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asl_kit.errors import FeatureError
from asl_kit.grid import FeatureGrid
from asl_kit.recipes.schema import DataRecipe


class FeatureStream(NamedTuple):
    """The features that one backbone made of a video."""

    features: NDArray[np.floating]
    """(T, D)."""
    grid: FeatureGrid
    """Where in time they lie; T long."""
    source: str
    """Names them in messages: a store and its video, or a video file and a backbone."""


def join_streams(streams: Sequence[FeatureStream], onto: FeatureGrid) -> NDArray[np.float32]:
    """Return the features of all streams side by side, each interpolated at most once, directly onto one grid.

    Parameters
    ----------
    streams : sequence of FeatureStream
        The streams of one video, in the order in which the network takes them.
    onto : FeatureGrid
        The grid of the result: see `joined_grid`.

    Returns
    -------
    (onto.length, D) array
        D is the sum of the streams' dimensions.

    Raises
    ------
    FeatureError
        If a value is not finite.
    """
    parts = []
    for stream in streams:
        features = np.asarray(stream.features, dtype=np.float32)
        # The extremes are NaN or infinite if any value is; finding them takes no memory, whatever the length.
        if features.size and not np.isfinite([features.min(), features.max()]).all():
            first = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
            raise FeatureError(
                f"{stream.source}: feature {first} is not finite",
                hint="half-precision arithmetic in the backbone overflows easily; damaged weights and a damaged store"
                " (see `asl-kit store verify`) have the same effect",
            )
        parts.append(features if stream.grid == onto else resample(features, stream.grid, onto))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def joined_grid(first: FeatureGrid, recipe: DataRecipe) -> FeatureGrid:
    """Return the grid that a video's streams are joined on: that of the first stream, resized as the recipe says."""
    length = recipe.resize_length or first.length * recipe.time_scale
    return first if first.length in (0, length) else first.resized(length)


def resample(features: NDArray[np.float32], grid: FeatureGrid, onto: FeatureGrid) -> NDArray[np.float32]:
    """Interpolate (T, D) features on `grid` linearly at the centres of `onto`; beyond the ends, repeat the end."""
    index = np.clip(grid.to_index(onto.centers_s()), 0, max(len(features) - 1, 0))
    low = np.floor(index).astype(np.int64)
    high = np.minimum(low + 1, len(features) - 1)
    share = (index - low).astype(np.float32)[:, None]
    return features[low] * (1 - share) + features[high] * share
