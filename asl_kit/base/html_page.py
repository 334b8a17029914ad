"""One HTML file with headings, tables and plotly figures, which works offline, in light and dark mode."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asl_kit.base.files import write_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#b3a400", "#7f7f7f")
"""Colours that colour-blind people can distinguish, on white and on black (Okabe and Ito, 2008)."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --line: #d8dee4; --quiet: #57606a;
  --panel: #f6f8fa; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --quiet: #9198a1; --panel: #161b22; } }
@media print { :root { --ink: #000; --paper: #fff; --line: #bbb; --quiet: #444; --panel: #fff; }
  figure { break-inside: avoid; } h2, h2 + p, p:has(+ figure) { break-after: avoid; } nav { display: none; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
a { color: inherit; } nav ul { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; padding: 0; list-style: none; }
p, figcaption { color: var(--quiet); max-width: 48rem; }
figcaption { margin-top: 0.6rem; } figure { margin: 0.5rem 0 1.5rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.9rem 0.2rem 0; border-bottom: 1px solid var(--line); text-align: left; }
th.number, td.number { text-align: right; white-space: nowrap; } tbody th { font-weight: normal; white-space: pre; }
thead th { color: var(--quiet); font-size: 0.875rem; vertical-align: bottom; }
summary { cursor: pointer; width: fit-content; } details > .scroll { max-height: 32rem; overflow-y: auto; }
.plot :is(.xtick, .ytick, .infolayer) text { fill: var(--ink) !important; }
.plot .crisp:is(.xgrid, .ygrid, .zl), .plot :is(.xlines-above, .ylines-above) { stroke: var(--line) !important; }
"""

# plotly.js is large: the browser parses it only when the page has been painted. Plots in view come first; the others
# are drawn when the browser is idle, for archives and pictures of the whole page.
_SCRIPT = """
const drawn = new Set();
function draw(element) {
  if (!window.Plotly) {
    const program = document.createElement("script");
    program.textContent = document.getElementById("plotly-program").textContent;
    document.head.append(program);
  }
  const figure = JSON.parse(document.getElementById(element.id + "-data").textContent);
  drawn.add(element);
  return Plotly.newPlot(element, figure.data, figure.layout, {responsive: true, displayModeBar: false});
}
const observer = new IntersectionObserver(entries => entries.forEach(entry => {
  if (entry.isIntersecting && !drawn.has(entry.target)) draw(entry.target);
}), {rootMargin: "400px"});
requestAnimationFrame(() => setTimeout(() =>
  document.querySelectorAll(".plot").forEach(element => observer.observe(element))));
const whenIdle = window.requestIdleCallback || (task => setTimeout(task, 50));
function drawRest() {
  const next = [...document.querySelectorAll(".plot")].find(element => !drawn.has(element));
  if (next) { draw(next); whenIdle(drawRest, {timeout: 500}); }
}
addEventListener("load", () => whenIdle(drawRest, {timeout: 500}));
addEventListener("beforeprint", () => document.querySelectorAll(".plot").forEach(element => {
  if (!drawn.has(element)) draw(element);
  Plotly.relayout(element, {width: 680});  // the width of A4 and Letter paper
}));
addEventListener("afterprint", () => drawn.forEach(element => Plotly.relayout(element, {width: null, autosize: true})));
"""


_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "media-src 'self' file:; base-uri 'none'; form-action 'none'"
)
"""The page makes no network requests, whatever names it contains."""


def json_for_script(text: str) -> str:
    """Return JSON text that cannot end the script element that contains it, whatever names it contains."""
    return text.replace("<", "\\u003c")  # JSON has "<" only in strings


class HtmlPage:
    """A page that is built from top to bottom and then written.

    Parameters
    ----------
    title : str
        Title and first heading.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._body: list[str] = []
        self._headings: list[str] = []
        self._styles = [_STYLE]
        self._scripts: list[str] = []
        self._num_figures = 0

    def heading(self, text: str) -> None:
        """Start a part of the page."""
        self._headings.append(text)
        self._body.append(f'<h2 id="part-{len(self._headings)}">{html.escape(text)}</h2>')

    def paragraph(self, text: str) -> None:
        """Add running text."""
        self._body.append(f"<p>{html.escape(text)}</p>")

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        text_columns: int = 1,
        folded: str | None = None,
    ) -> None:
        """Add a table.

        Parameters
        ----------
        columns : sequence of str
            Headings of the columns.
        rows : sequence of sequence of str
            Cells; the first cell names its row.
        text_columns : int
            Number of columns, from the left, that contain text; the others contain numbers and are aligned right.
        folded : str, optional
            Collapse the table below this line until the reader opens it.
        """

        def cell(tag: str, index: int, text: str, scope: str = "") -> str:
            kind = "" if index < text_columns else ' class="number"'
            return f"<{tag}{kind}{scope}>{html.escape(text)}</{tag}>"

        head = "".join(cell("th", index, text, ' scope="col"') for index, text in enumerate(columns))
        body = "\n".join(
            "<tr>"
            + "".join(
                cell("td", index, text) if index else cell("th", index, text, ' scope="row"')
                for index, text in enumerate(row)
            )
            + "</tr>"
            for row in rows
        )
        table = (
            f'<div class="scroll" tabindex="0" role="group" aria-label="table"><table><thead><tr>{head}</tr></thead>\n'
            f"<tbody>{body}</tbody></table></div>"
        )
        if folded is not None:
            table = f"<details><summary>{html.escape(folded)}</summary>{table}</details>"
        self._body.append(table)

    def part(self, markup: str, *, style: str = "", script: str = "", data: Mapping[str, str] | None = None) -> None:
        """Add custom HTML.

        Parameters
        ----------
        markup : str
            HTML in which the caller has escaped every name.
        style, script : str
            CSS, and JavaScript that runs when the whole page has been parsed.
        data : mapping of str to str, optional
            JSON for the script, by the id of the script element that will contain it.
        """
        self._body.append(markup)
        self._styles.append(style)
        for name, text in (data or {}).items():
            self._add_data(name, text)
        self._scripts.append(f"<script>{script}</script>")

    def _add_data(self, name: str, text: str) -> None:
        self._scripts.append(f'<script type="application/json" id="{name}">{json_for_script(text)}</script>')

    def figure(self, figure: Figure, caption: str) -> None:
        """Add a plot, in the colours of the reader's system; it is drawn in view, or when the browser is idle.

        Texts in the figure are shown literally: plotly's markup works only in templates
        (``hovertemplate``, ``texttemplate``).
        """
        self._num_figures += 1
        name = f"figure-{self._num_figures}"
        margin = {"l": 60, "r": 20, "t": 20, "b": 50}
        clear = "rgba(0,0,0,0)"
        figure.update_layout(
            template="none", margin=margin, colorway=PALETTE, paper_bgcolor=clear, plot_bgcolor=clear, dragmode=False
        )
        figure.for_each_xaxis(_finish_axis)
        figure.for_each_yaxis(_finish_axis)
        height = figure.layout.height or 360
        self._add_data(f"{name}-data", json.dumps(_plain(json.loads(figure.to_json())), separators=(",", ":")))
        text = html.escape(caption)
        self._body.append(
            f'<figure><div class="plot" id="{name}" style="height: {height}px" role="img" aria-label="{text}"></div>'
            f"<figcaption>{text}</figcaption></figure>"
        )

    def write(self, path: Path) -> None:
        """Write the page atomically; a page with plots contains plotly.js (about 5 MB)."""
        from plotly.offline import get_plotlyjs

        title = html.escape(self._title)
        links = "".join(
            f'<li><a href="#part-{number}">{html.escape(text)}</a></li>'
            for number, text in enumerate(self._headings, start=1)
        )
        parts = [
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">',
            f"<style>{''.join(self._styles)}</style></head>\n<body><main><h1>{title}</h1>",
            f'<nav aria-label="Parts of this page"><ul>{links}</ul></nav>',
            *self._body,
            "</main>",
            *self._scripts,
        ]
        if self._num_figures:
            parts += [
                f'<script type="text/plain" id="plotly-program">{get_plotlyjs()}</script>',
                f"<script>{_SCRIPT}</script>",
            ]
        write_text(path, "\n".join([*parts, "</body></html>", ""]))


def _finish_axis(axis: Any) -> None:
    axis.update(automargin=True, showgrid=True if axis.showgrid is None else axis.showgrid)


def _plain(value: Any, key: str = "") -> Any:
    """Return a part of a figure with its texts escaped, so that plotly shows them literally."""
    if isinstance(value, dict):
        return {name: _plain(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, key) for item in value]
    if not isinstance(value, str) or key.endswith("template"):
        return value
    return html.escape(value, quote=False).replace("$", "&#36;")  # a dollar sign would start a formula
