"""One HTML file with tables and plots that needs no network: headings, tables, plotly figures, dark and light."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asl_kit.files import write_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#b3a400", "#7f7f7f")
"""Colours that the colour-blind can tell apart, on white and on black (Okabe and Ito, 2008)."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --line: #d8dee4; --quiet: #57606a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --quiet: #9198a1; } }
@media print { :root { --ink: #000; --paper: #fff; --line: #bbb; --quiet: #444; } figure { break-inside: avoid; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
p, figcaption { color: var(--quiet); max-width: 48rem; } figure { margin: 0.5rem 0 1.5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.9rem 0.2rem 0; border-bottom: 1px solid var(--line); text-align: left; }
th.number, td.number { text-align: right; } tbody th { font-weight: normal; white-space: pre; }
"""

_SCRIPT = """
const dark = matchMedia("(prefers-color-scheme: dark)");
function theme() {
  const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--ink").trim();
  const line = style.getPropertyValue("--line").trim();
  const colours = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "font.color": ink};
  for (const axis of ["xaxis", "yaxis"])
    for (const key of ["gridcolor", "linecolor", "zerolinecolor"]) colours[axis + "." + key] = line;
  return colours;
}
const drawn = new Set();
function draw(element) {
  const figure = figures[element.id];
  drawn.add(element);
  return Plotly.newPlot(element, figure.data, figure.layout, {responsive: true, displayModeBar: false})
    .then(() => Plotly.relayout(element, theme()));
}
const observer = new IntersectionObserver(entries => entries.forEach(entry => {
  if (entry.isIntersecting && !drawn.has(entry.target)) draw(entry.target);
}), {rootMargin: "400px"});
document.querySelectorAll(".plot").forEach(element => observer.observe(element));
dark.addEventListener("change", () => drawn.forEach(element => Plotly.relayout(element, theme())));
addEventListener("beforeprint", () => document.querySelectorAll(".plot").forEach(element => {
  if (!drawn.has(element)) draw(element);
}));
"""


class HtmlPage:
    """A page that is built from top to bottom and written once.

    Parameters
    ----------
    title : str
        Title and first heading.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._body: list[str] = []
        self._figures: list[str] = []

    def heading(self, text: str) -> None:
        """Begin a part of the page."""
        self._body.append(f"<h2>{html.escape(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add running text."""
        self._body.append(f"<p>{html.escape(text)}</p>")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: int = 1) -> None:
        """Add a table; the first `text_columns` columns are text, the others numbers, set flush right."""

        def cell(tag: str, index: int, text: str) -> str:
            kind = "" if index < text_columns else ' class="number"'
            return f"<{tag}{kind}>{html.escape(text)}</{tag}>"

        head = "".join(cell("th", index, text) for index, text in enumerate(columns))
        body = "\n".join(
            "<tr>" + "".join(cell("td" if index else "th", index, text) for index, text in enumerate(row)) + "</tr>"
            for row in rows
        )
        self._body.append(
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
        )

    def figure(self, figure: Figure, caption: str) -> None:
        """Add a plot; it is drawn when it comes into view, in the colours of the reader's system."""
        name = f"figure-{len(self._figures) + 1}"
        figure.update_layout(template="none", margin={"l": 60, "r": 20, "t": 20, "b": 50}, colorway=PALETTE)
        figure.update_xaxes(automargin=True, showgrid=True)
        figure.update_yaxes(automargin=True, showgrid=True)
        height = figure.layout.height or 360
        self._figures.append(f'"{name}": ' + figure.to_json().replace("</", "<\\/"))
        text = html.escape(caption)
        self._body.append(
            f'<figure><div class="plot" id="{name}" style="height: {height}px" role="img" aria-label="{text}"></div>'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all; plotly's program is part of the file (about 5 MB)."""
        from plotly.offline import get_plotlyjs

        title = html.escape(self._title)
        parts = [
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">',
            f"<style>{_STYLE}</style></head>\n<body><main><h1>{title}</h1>",
            *self._body,
            "</main>",
        ]
        if self._figures:
            figures = ",\n".join(self._figures)
            parts += [
                f"<script>{get_plotlyjs()}</script>",
                f"<script>const figures = {{{figures}}};\n{_SCRIPT}</script>",
            ]
        write_text(path, "\n".join([*parts, "</body></html>", ""]))
