"""The statistics of an annotation set as an HTML page of plots and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asl_kit.annotations.schema import AnnotationSet, Video
from asl_kit.annotations.statistics import Statistics, class_rows, split_rows
from asl_kit.base.html_page import PALETTE, HtmlPage

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BINS = 40
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_TOGETHER = 5
"""Larger numbers of simultaneous actions are counted as one group."""


def write_page(annotations: AnnotationSet, statistics: Statistics, path: Path) -> None:
    """Write the annotations' statistics, as returned by `describe`, as one HTML file that works offline."""
    splits = {split: list(videos.values()) for split, videos in annotations.by_split().items()}
    page = HtmlPage(f"{annotations.dataset}: annotations")
    columns, rows = split_rows(statistics)
    page.table(columns, rows)

    page.heading("Lengths")
    page.figure(
        _histogram({split: _segment_lengths_s(videos) for split, videos in splits.items()}, "segment length (s)"),
        "Segments by length, in per cent of their split.",
    )
    page.figure(
        _histogram({split: np.array([v.duration for v in videos]) for split, videos in splits.items()}, "video (s)"),
        "Videos by duration, in per cent of their split.",
    )
    page.figure(
        _histogram(
            {
                split: np.array([len(v.segments) for v in videos if v.segments], np.float64)
                for split, videos in splits.items()
            },
            "segments in a video",
            counts=True,
        ),
        "Videos by number of segments, in per cent of their split's videos with segments.",
    )

    page.heading("Overlap")
    page.figure(
        _together({split: _share_of_time(videos) for split, videos in splits.items()}),
        "Share of the annotated videos' time with no action, one action, or several at once.",
    )

    page.heading("Classes")
    for vocabulary in annotations.vocabularies:
        page.figure(
            _class_counts(splits, annotations.vocabularies[vocabulary], vocabulary),
            f"{vocabulary}: segments by class, the most frequent first.",
        )
        page.figure(
            _class_lengths(splits, annotations.vocabularies[vocabulary], vocabulary),
            f"{vocabulary}: length of segments by class, all splits: 5, 25, 50, 75 and 95 per cent are shorter.",
        )
    columns, rows = class_rows(statistics)
    page.table(columns, rows, text_columns=2)
    page.write(path)


def _segment_lengths_s(videos: Sequence[Video]) -> NDArray[np.float64]:
    return np.array([segment.end - segment.start for video in videos for segment in video.segments or ()])


def _histogram(values_by_split: dict[str, NDArray[np.float64]], label: str, *, counts: bool = False) -> Figure:
    """Return a histogram with a logarithmic axis, because lengths span four orders of magnitude."""
    from plotly import graph_objects

    figure = graph_objects.Figure()
    found = [values for values in values_by_split.values() if values.size]
    if found:
        low, high = min(values.min() for values in found), max(values.max() for values in found)
        edges = np.geomspace(low * 0.999, max(high, low * 1.01) * 1.001, BINS + 1)
        if counts:  # integers: every bin contains one
            edges = np.unique(np.ceil(np.append(edges, high + 1)))
        for colour, (split, values) in zip(cycle(PALETTE), values_by_split.items(), strict=False):
            if values.size:
                share = np.histogram(values, edges)[0] / values.size * 100
                # a step plot; the last value is repeated at the last edge
                line = {"shape": "hv", "color": colour}
                figure.add_scatter(x=edges, y=[*share, share[-1]], name=split, line=line, fill="tozeroy")
    figure.update_layout(showlegend=True)
    figure.update_xaxes(type="log", title=label)
    figure.update_yaxes(title="%", rangemode="tozero")
    return figure


def _share_of_time(videos: Sequence[Video]) -> NDArray[np.float64]:
    """Return the shares of the annotated videos' time with 0, 1, ..., MAX_TOGETHER or more actions; they sum to 1."""
    seconds = np.zeros(MAX_TOGETHER + 1)
    for video in videos:
        if video.segments is None:
            continue
        changes = sorted(
            change
            for segment in video.segments
            for change in ((segment.start, 1), (min(segment.end, video.duration), -1))
        )
        together, since_s = 0, 0.0
        for time_s, change in changes:
            seconds[min(together, MAX_TOGETHER)] += time_s - since_s
            together, since_s = together + change, time_s
        seconds[0] += max(video.duration - since_s, 0.0)
    total = seconds.sum()
    return seconds / total if total else seconds


def _together(shares: dict[str, NDArray[np.float64]]) -> Figure:
    from plotly import graph_objects

    figure = graph_objects.Figure()
    names = ["no action", "one", *map(str, range(2, MAX_TOGETHER)), f"{MAX_TOGETHER} or more"]
    for number, name in enumerate(names):
        values = [share[number] * 100 for share in shares.values()]
        if any(values):
            figure.add_bar(y=list(shares), x=values, name=name, orientation="h")
    figure.update_layout(barmode="stack", height=120 + 40 * len(shares))
    figure.update_xaxes(title="% of time", range=[0, 100])
    return figure


def _class_counts(splits: dict[str, list[Video]], classes: Sequence[str], vocabulary: str) -> Figure:
    from plotly import graph_objects

    index = {label: number for number, label in enumerate(classes)}
    counts = np.zeros((len(splits), len(classes)), np.int64)
    for row, videos in enumerate(splits.values()):
        for label, _ in _labelled(videos, vocabulary):
            counts[row, index[label]] += 1
    order = np.argsort(-counts.sum(0), kind="stable")
    figure = graph_objects.Figure()
    for row, (colour, split) in enumerate(zip(cycle(PALETTE), splits, strict=False)):
        if counts[row].any():
            figure.add_bar(x=[classes[i] for i in order], y=counts[row, order], name=split, marker={"color": colour})
    figure.update_layout(barmode="stack", height=440, showlegend=True)
    figure.update_xaxes(type="category", tickangle=-60)
    figure.update_yaxes(title="segments")
    return figure


def _class_lengths(splits: dict[str, list[Video]], classes: Sequence[str], vocabulary: str) -> Figure:
    from plotly import graph_objects

    lengths: dict[str, list[float]] = {label: [] for label in classes}
    for videos in splits.values():
        for label, length_s in _labelled(videos, vocabulary):
            lengths[label].append(length_s)
    quantiles: dict[str, Any] = {label: np.quantile(found, QUANTILES) for label, found in lengths.items() if found}
    order = sorted(quantiles, key=lambda label: (-quantiles[label][2], label))
    figure = graph_objects.Figure()
    if order:
        low, lower, middle, upper, high = np.array([quantiles[label] for label in order]).T
        figure.add_box(x=order, lowerfence=low, q1=lower, median=middle, q3=upper, upperfence=high, name="")
    figure.update_layout(height=440, showlegend=False)
    figure.update_xaxes(type="category", tickangle=-60)
    figure.update_yaxes(type="log", title="length (s)")
    return figure


def _labelled(videos: Sequence[Video], vocabulary: str) -> Iterator[tuple[str, float]]:
    """Yield the label and the length in seconds of every segment with a label in the vocabulary."""
    for video in videos:
        for segment in video.segments or ():
            if vocabulary in segment.labels:
                yield segment.labels[vocabulary], segment.end - segment.start
