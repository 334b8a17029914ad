"""The part of the network's shape that is derived from the data: sequence length, pyramid levels, ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from asl_kit.dataset.split import VideoItem
from asl_kit.model.network import Shape
from asl_kit.recipes.schema import Recipe

FEWEST_LEVELS, MOST_LEVELS = 3, 8
LONG_SEGMENT_PERCENTILE = 95
SHORT_SEGMENT_PERCENTILE = 10
FEW_FEATURES = 4


def derive_shape(items: Sequence[VideoItem], feature_dims: Sequence[int], recipe: Recipe) -> Shape:
    """Derive the network's shape from the training videos where the recipe says `auto`.

    The sequence length is that of the longest video, at most `max_sequence_length`. With full padding it is rounded up
    to whole steps of the top level, even if the recipe states it.
    The number of pyramid levels puts the 95th percentile of half the segment
    lengths into the regression range of the top level: from the centre of a
    segment, half its length has to be regressed.

    Parameters
    ----------
    items : sequence of VideoItem
        The training videos.
    feature_dims : sequence of int
        D of each feature stream.
    recipe : Recipe
        Numbers in it take precedence.
    """
    data, model = recipe.data, recipe.model
    longest = max(item.grid.length for item in items)
    length = min(longest, data.max_sequence_length) if data.sequence_length == "auto" else data.sequence_length
    levels = _derive_levels(items, recipe) if model.pyramid_levels == "auto" else model.pyramid_levels
    if model.padding == "full":
        coarsest = 2 ** (levels - 1)
        length = -(-length // coarsest) * coarsest
    return Shape(feature_dims=tuple(feature_dims), sequence_length=length, levels=levels)


def _derive_levels(items: Sequence[VideoItem], recipe: Recipe) -> int:
    halves = _segment_lengths(items) / 2
    half = float(np.percentile(halves, LONG_SEGMENT_PERCENTILE)) if len(halves) else 0.0
    wanted = 2 + math.ceil(math.log2(max(half / recipe.model.first_regression_range, 1)))
    return min(max(wanted, FEWEST_LEVELS), MOST_LEVELS)


def has_short_segments(items: Sequence[VideoItem]) -> bool:
    """Return whether a tenth of the segments have fewer than 4 features.

    There, ``data.time_scale = 2`` raised average mAP, and 4 did not raise it further; where segments are longer, both
    lowered it or changed nothing (`tests/benchmarks/studies/time_scale.toml`).
    """
    return 0 < _short_segment(items) < FEW_FEATURES


def _short_segment(items: Sequence[VideoItem]) -> float:
    """Return the length that nine tenths of the segments reach, in features; 0 without segments."""
    lengths = _segment_lengths(items)
    return float(np.percentile(lengths, SHORT_SEGMENT_PERCENTILE)) if len(lengths) else 0.0


def shape_table(shape: Shape, items: Sequence[VideoItem], recipe: Recipe, classes: int) -> Table:
    """Return a table of the derived shape and the data that it was derived from."""
    lengths = _segment_lengths(items)
    videos = np.array([item.grid.length for item in items])
    first = recipe.model.first_regression_range
    ranges = [
        f"{0 if level == 0 else first * 2 ** (level - 1):g}-"
        f"{'' if level == shape.levels - 1 else f'{first * 2**level:g}'}"
        for level in range(shape.levels)
    ]
    table = Table(title="Derived from the training videos", show_header=False)
    table.add_row("videos", f"{len(items)}, {_spread(videos)} features each")
    table.add_row(
        "segments",
        f"{len(lengths)} of {classes} {'class' if classes == 1 else 'classes'}, {_spread(lengths)} features each",
    )
    if has_short_segments(items) and recipe.data.resize_length is None and recipe.data.time_scale == 1:
        short = f"a tenth are shorter than {_short_segment(items):.1f} features"
        table.add_row("short segments", f"{short}: data.time_scale=2 may find them better")
    table.add_row("feature step", _spread(np.array([item.grid.step_s for item in items]), "{:.3g}") + " s")
    table.add_row("sequence length", f"{shape.sequence_length} features")
    table.add_row("pyramid levels", str(shape.levels))
    table.add_row("regression ranges", ", ".join(ranges) + " features")
    return table


def _segment_lengths(items: Sequence[VideoItem]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the length of every segment, in features."""
    lengths = [(item.segments_s[:, 1] - item.segments_s[:, 0]) / item.grid.step_s for item in items]
    return np.concatenate([np.zeros(0), *lengths])


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]], form: str = "{:.0f}") -> str:
    if not len(values):
        return "none"
    low, middle, high = (form.format(value) for value in np.percentile(values, (0, 50, 100)))
    return low if low == high else f"{low} to {high} (median {middle})"
