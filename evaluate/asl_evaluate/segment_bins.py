"""Ground-truth segments in bins of length, coverage and number, as in DETAD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.task import Prepared

INFINITY = float("inf")
NAMES_OF_BINS = {
    1: ("all",),
    2: ("S", "L"),
    3: ("S", "M", "L"),
    4: ("XS", "S", "M", "L"),
    5: ("XS", "S", "M", "L", "XL"),
}
QUANTILES = {"length": 5, "coverage": 5, "instances": 3}
UNITS = {"length": "seconds", "coverage": "share of the video", "instances": "segments in the video"}

# The code of DETAD at 24f7d95: src/sensitivity_analysis.py, main.
DETAD_EDGES: dict[str, dict[str, tuple[float, ...]]] = {
    "activitynet13": {
        "length": (0, 30, 60, 120, 180, INFINITY),
        "coverage": tuple(np.linspace(0, 1, 6).tolist()),
        "instances": (0, 1, 4, 8, INFINITY),
    },
    "thumos14": {
        "length": (0, 3, 6, 12, 18, INFINITY),
        "coverage": (0, 0.02, 0.04, 0.06, 0.08, 1),
        "instances": (0, 1, 40, 80, INFINITY),
    },
}


@dataclass(frozen=True, eq=False)
class Binned:
    """One characteristic of each ground-truth segment."""

    name: str
    """length, coverage or instances."""
    unit: str
    bins_from: str
    """``DETAD`` or ``quantiles``."""
    edges: tuple[float, ...]
    """Bin i is (edges[i], edges[i + 1]]."""
    bin_names: tuple[str, ...]
    bin: NDArray[np.int64]
    """(M,): the bin of each segment."""


def bin_segments(prepared: Prepared, dataset: str) -> list[Binned]:
    """Return each ground-truth segment's bin of length, coverage and instances.

    The length is in seconds; the coverage is the length divided by that of the video, at most 1; the
    instances are the segments of all classes in the same video (as DETAD's own files count).

    The bins are DETAD's for ActivityNet 1.3 and THUMOS14. For other datasets they come from the
    ground truth: five bins of equal size for length and coverage; for instances, videos with one
    segment, and three bins of equal size for the others. Bins left empty by equal values are
    dropped.

    Parameters
    ----------
    prepared : Prepared
        The ground truth, with its videos.
    dataset : str
        Name of the dataset, as in its manifest.
    """
    truth = prepared.truth
    duration_s = np.array([video.duration for video in prepared.videos.values()])
    length_s = truth.end_s - truth.start_s
    values = {
        "length": length_s,
        "coverage": np.minimum(length_s / duration_s[truth.video], 1.0),
        "instances": np.bincount(truth.video)[truth.video].astype(np.float64),
    }
    official = DETAD_EDGES.get(dataset, {})
    found = []
    for name, column in values.items():
        edges = official[name] if official else _quantile_edges(name, column)
        place = np.searchsorted(edges[1:], column)  # a value at an edge is in the bin below
        bins_from = "DETAD" if official else "quantiles"
        found.append(Binned(name, UNITS[name], bins_from, edges, NAMES_OF_BINS[len(edges) - 1], place))
    return found


def _quantile_edges(name: str, values: NDArray[np.float64]) -> tuple[float, ...]:
    last = 1.0 if name == "coverage" else INFINITY
    inner = {1.0} if name == "instances" else set()
    spread = values[values > 1] if name == "instances" else values
    if len(spread):
        shares = np.arange(1, QUANTILES[name]) / QUANTILES[name]
        inner |= set(np.quantile(spread, shares, method="inverted_cdf").tolist())
    within = sorted(edge for edge in inner if values.min() <= edge < values.max())
    return (0.0, *within, last)
