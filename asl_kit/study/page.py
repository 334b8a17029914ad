"""A study as one HTML page: for each set a plot of every run, and the table; then what each variant sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl_kit.base.html_page import PALETTE, HtmlPage
from asl_kit.recipes.files import to_toml_value
from asl_kit.study.results import COLUMNS, StudyResult, VariantResult
from asl_kit.study.settings import Study

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def write_page(path: Path, study: Study, result: StudyResult) -> None:
    """Write the page.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    page = HtmlPage(f"Study: {study.path.stem}")
    page.paragraph(
        f"{result.score} in per cent; each variant minus {result.baseline}, seed by seed. Interval and p-value are"
        " those of Student's paired t test over the seeds: they say nothing about other videos."
    )
    for name, variants in result.sets.items():
        page.heading(name)
        if any(found.scores for found in variants.values()):
            page.figure(
                _scores(variants), f"{result.score} (%) of every run; the line is the mean of {result.baseline}"
            )
        page.table(COLUMNS, [(variant, *found.cells()) for variant, found in variants.items()])
    if result.missing:
        page.heading("Runs without a result")
        page.table(("run", "why"), list(result.missing.items()), text_columns=2)
    page.heading("Settings")
    rows = [(name, "; ".join(_settings(changes)) or "as the recipe") for name, changes in study.changes.items()]
    page.table(("variant", "sets"), rows, text_columns=2)
    page.write(path)


def _scores(variants: Mapping[str, VariantResult]) -> Figure:
    from plotly import graph_objects  # slow to import

    figure = graph_objects.Figure()
    names = list(variants)
    for number, (variant, found) in enumerate(variants.items()):
        figure.add_scatter(
            x=[100 * score for score in found.scores.values()],
            y=[variant] * len(found.scores),
            mode="markers",
            marker={"color": PALETTE[0 if number else 7], "size": 10, "opacity": 0.7},
            customdata=list(found.scores),
            hovertemplate="%{y}, seed %{customdata}: %{x:.2f}<extra></extra>",
        )
    baseline = next((found.mean for found in variants.values() if found.difference is None and found.scores), None)
    if baseline is not None:
        figure.add_vline(x=100 * baseline, line={"color": PALETTE[7], "dash": "dot"})
    figure.update_layout(showlegend=False, height=120 + 32 * len(names))
    figure.update_xaxes(title="%")
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=names[::-1], showgrid=False)
    return figure


def _settings(changes: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return ``table.key = value`` for each setting."""
    lines = []
    for key, value in changes.items():
        if isinstance(value, dict):
            lines += _settings(value, f"{prefix}{key}.")
        else:
            lines.append(f"{prefix}{key} = {to_toml_value(value)}")
    return lines
