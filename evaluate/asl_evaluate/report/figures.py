"""The plots of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.bootstrap import Confidence
from asl_evaluate.diagnosis import ERROR_TYPES, TRUE_POSITIVE, Bin, Characteristic, Diagnosis
from asl_evaluate.report.sensitivity_file import Sensitivity
from asl_evaluate.scores import Scores
from asl_kit.base.html_page import PALETTE

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BLUE, VERMILION, GREEN, PURPLE, SKY, ORANGE, _, GREY = PALETTE
KIND_COLOURS = dict(zip((TRUE_POSITIVE, *ERROR_TYPES), (GREEN, SKY, PURPLE, ORANGE, VERMILION, GREY), strict=True))
CLASS_HEIGHT_PX = 22
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
SHADES = ((0.0, "rgba(0,114,178,0)"), (0.02, "rgba(0,114,178,0.12)"), (1.0, "rgba(0,114,178,1)"))
"""From transparent to blue, on white and on black."""


def _empty_figure() -> Figure:
    from plotly import graph_objects  # slow to import

    return graph_objects.Figure()


def tiou_curves(scores: Scores, confidence: Confidence | None) -> Figure:
    """Return mAP and recalls by tIoU threshold, in percent, with the interval of mAP if given."""
    figure = _empty_figure()
    tiou = list(scores.tiou_thresholds)
    curves = {"mAP": scores.mean_average_precision} if scores.mean_average_precision else {}
    curves |= {name: value.per_tiou for name, value in scores.recall.items() if value.per_tiou}
    if confidence is not None:
        high = [100 * interval.high for interval in confidence.per_tiou]
        low = [100 * interval.low for interval in confidence.per_tiou]
        name = f"mAP, {confidence.level:.0%} interval"
        band = {"fill": "toself", "fillcolor": "rgba(0,114,178,0.2)", "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_scatter(x=[*tiou, *reversed(tiou)], y=[*high, *reversed(low)], name=name, mode="lines", **band)
    for (name, values), colour in zip(curves.items(), (BLUE, VERMILION, GREEN, PURPLE, ORANGE) * 9, strict=False):
        dash = "solid" if name == "mAP" else "dot"
        line = {"color": colour, "dash": dash, "width": 2.5}
        percent = [100 * value for value in values]
        figure.add_scatter(x=tiou, y=percent, name=name, mode="lines+markers", line=line)
    figure.update_layout(showlegend=True, legend=LEGEND)
    figure.update_xaxes(title="tIoU threshold", tickvals=tiou if len(tiou) <= 10 else None)
    figure.update_yaxes(title="%", range=[0, 100])
    return figure


def class_bars(scores: Scores) -> Figure:
    """Return average AP of every class, in percent, the best on top."""
    names = sorted(scores.per_class, key=lambda name: (scores.per_class[name].mean, name))
    chosen = [scores.per_class[name] for name in names]
    figure = _empty_figure()
    figure.add_bar(
        x=[100 * score.mean for score in chosen],
        y=names,
        orientation="h",
        marker={"color": BLUE},
        customdata=[[score.segments, score.predictions] for score in chosen],
        hovertemplate="%{y}: %{x:.2f}<br>%{customdata[0]} segments, %{customdata[1]} predictions<extra></extra>",
    )
    figure.update_layout(height=120 + CLASS_HEIGHT_PX * len(names), showlegend=False, bargap=0.3)
    figure.update_xaxes(title="average AP (%)", range=[0, 100], side="top")
    figure.update_yaxes(type="category", dtick=1, showgrid=False)
    return figure


def confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> Figure:
    """Return the confusion matrix of the classes with ground truth, in percent of each row."""
    rows = np.flatnonzero(matrix.sum(1))
    columns = np.append(np.flatnonzero(matrix[:, :-1].sum(0) + matrix.sum(1)), len(classes))
    part = matrix[np.ix_(rows, columns)]
    share = 100 * part / part.sum(1, keepdims=True)
    figure = _empty_figure()
    figure.add_heatmap(
        z=np.round(share, 1),
        x=[*(classes[column] for column in columns[:-1].tolist()), "missed"],
        y=[classes[row] for row in rows.tolist()],
        customdata=part,
        colorscale=SHADES,
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
        colorbar={"title": "%", "thickness": 14, "outlinewidth": 0},
        hovertemplate="true %{y}, predicted %{x}: %{customdata} (%{z} %)<extra></extra>",
    )
    figure.update_layout(height=max(320, 160 + CLASS_HEIGHT_PX * len(rows)))
    figure.update_xaxes(type="category", tickangle=-60, title="predicted", dtick=1, showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", title="true", dtick=1, showgrid=False)
    return figure


def error_profile(diagnosis: Diagnosis) -> Figure:
    """Return the kinds of predictions by rank: a stacked bar per multiple of the number of true segments."""
    figure = _empty_figure()
    names = [
        f"{bar.multiple - 1 or ''}{'G to ' if bar.multiple > 1 else 'best '}{bar.multiple}G"
        for bar in diagnosis.profile
    ]
    for kind, colour in KIND_COLOURS.items():
        shares = [100 * bar.shares[kind] for bar in diagnosis.profile]
        figure.add_bar(x=names, y=shares, name=kind, marker={"color": colour})
    figure.update_layout(barmode="stack", showlegend=True, bargap=0.25, legend=LEGEND)
    figure.update_xaxes(type="category", title="rank in the class; G: its true segments")
    figure.update_yaxes(title="% of predictions", range=[0, 100])
    return figure


def error_impacts(diagnosis: Diagnosis) -> Figure:
    """Return how much average mAP would rise without each kind of error, in points."""
    figure = _empty_figure()
    impacts = diagnosis.impacts[::-1]
    figure.add_bar(
        x=[100 * impact.gain for impact in impacts],
        y=[impact.error for impact in impacts],
        orientation="h",
        width=0.7,
        marker={"color": [KIND_COLOURS[impact.error] for impact in impacts]},
        hovertemplate="%{y}: %{x:+.2f} points<extra></extra>",
    )
    figure.update_layout(height=280, showlegend=False)
    figure.update_xaxes(title="average mAP gained (points)", rangemode="tozero")
    return figure


def characteristic(part: Characteristic, overall: float) -> Figure:
    """Return average mAP_N and the share of missed segments by bin, in percent."""
    figure = _empty_figure()
    bins = [(f"{each.name}: {bin_range(each)}", each) for each in part.bins if each.segments]
    names = [name for name, _ in bins]
    scores = [100 * (each.average_normalized_map or 0.0) for _, each in bins]
    missed = [100 * (each.missed or 0.0) for _, each in bins]
    figure.add_bar(x=names, y=scores, name="average mAP_N", marker={"color": BLUE})
    figure.add_bar(x=names, y=missed, name="missed", marker={"color": VERMILION})
    figure.add_hline(y=100 * overall, line={"dash": "dot", "color": BLUE})
    figure.update_layout(height=320, showlegend=True, legend=LEGEND)
    figure.update_xaxes(type="category", title=f"{part.name} ({part.unit})")
    figure.update_yaxes(title="%", range=[0, 100])
    return figure


def bin_range(part: Bin) -> str:
    """Return the values of a bin as text."""
    return f"over {part.low:.3g}" if part.high == float("inf") else f"{part.low:.3g} to {part.high:.3g}"


def class_sensitivity(sensitivity: Sensitivity, curve: str) -> Figure:
    """Return the curve `p_cls` or `p_loc` of each class as a heat map over the position in a segment."""
    curves = sensitivity.classes or {}
    names = sorted(curves)
    figure = _empty_figure()
    figure.add_heatmap(
        z=[getattr(curves[name], curve) for name in names],
        x=[place + 0.5 for place in sensitivity.u],
        y=names,
        colorscale=SHADES,
        zmin=0,
        zmax=1,
        colorbar={"thickness": 14, "outlinewidth": 0},
        hovertemplate="%{y}, at %{x:.2f}: %{z:.3f}<extra></extra>",
    )
    figure.update_layout(height=120 + CLASS_HEIGHT_PX * len(names))
    figure.update_xaxes(title="position in the segment: 0 is its start, 1 its end", showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", dtick=1, showgrid=False)
    return figure
