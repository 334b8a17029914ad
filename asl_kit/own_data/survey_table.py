"""Tables of a survey and a proposal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from asl_kit.annotations.similar_labels import find_similar_labels, similar_labels_warning
from asl_kit.annotations.statistics import describe, split_rows
from asl_kit.base.console import warn
from asl_kit.errors import first_few
from asl_kit.own_data.proposal import Proposal
from asl_kit.own_data.survey import QUANTILES, ClassSurvey, Survey

NAMES_SHOWN = 5
CLASSES_SHOWN = 60
"""If there are more classes, only those with a remark are shown."""


def print_survey(survey: Survey, console: Console) -> None:
    """Print a survey."""
    console.print(_facts(survey))
    columns, rows = split_rows(describe(survey.annotations))
    table = Table(title="Splits", title_justify="left", box=box.SIMPLE_HEAD)
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(_class_table(survey))
    similar = find_similar_labels(survey.annotations)
    if similar:
        warn(console, similar_labels_warning(similar))


def print_proposal(proposal: Proposal, console: Console) -> None:
    """Print a proposal and the derived shape of the network."""
    table = Table(title="Proposed", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("for", "setting", "value", "reason"):
        table.add_column(name, no_wrap=name in ("for", "setting"), overflow="fold")
    groups = {"extract": proposal.extraction, "recipe": proposal.recipe, "derived, not set": proposal.left}
    for group, choices in groups.items():
        for number, choice in enumerate(choices):
            table.add_row("" if number else group, choice.name, str(choice.value), choice.reason)
    console.print(table)
    console.print(proposal.derived)
    console.print(f"{proposal.features:,} features to extract")


def _facts(survey: Survey) -> Table:
    table = Table(title="Videos", title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    beyond_end = {name: str(len(lines)) for name, lines in survey.beyond_end.items()}
    rows = {
        "annotated": f"{len(survey.annotations.videos)}, {len(survey.headers)} with a readable file",
        "without a file": list_names(survey.missing, "(is it {}?)"),
        "unreadable": list_names(survey.unreadable, "({})"),
        "notes": list_names(survey.video_notes, "({})"),
        "files not annotated": list_names(dict.fromkeys(survey.unannotated, "")),
        "end before a segment": list_names(beyond_end, "({})"),
        "replaced durations": list_names(survey.replaced_durations, "({})"),
        "split": survey.split_note,
        "durations (s)": _spread([header.duration_s for header in survey.headers.values()]),
        "frames a second": _rates(survey),
        "training segments (s)": _spread(survey.lengths_s()),
    }
    if survey.table_notes:
        rows = {"table": "\n".join(survey.table_notes)} | rows
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def list_names(items: Mapping[str, str], form: str = "") -> str:
    """Return the number of items and the first few, each with its text in `form`; or `none`."""
    if not items:
        return "none"
    lines = [f"{name} {form.format(text)}" if text else name for name, text in items.items()]
    return f"{len(items)}: {first_few(lines, NAMES_SHOWN)}"


def _rates(survey: Survey) -> str:
    rates = Counter(f"{header.fps:.4g}" for header in survey.headers.values())
    listed = first_few([f"{rate} ({count} videos)" for rate, count in rates.most_common()], NAMES_SHOWN)
    return listed + (": mixed" if survey.mixed_fps else "")


def _spread(values: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    quantiles = zip(QUANTILES, np.percentile(values, QUANTILES), strict=True)
    return ", ".join(f"{_QUANTILE_NAMES[share]} {value:.4g}" for share, value in quantiles)


_QUANTILE_NAMES = {0: "shortest", 10: "10th percentile", 50: "median", 90: "90th percentile", 100: "longest"}


def _class_table(survey: Survey) -> Table:
    classes = survey.classes
    caption = None
    if len(classes) > CLASSES_SHOWN:
        classes = [item for item in classes if item.remarks]
        caption = f"{len(survey.classes) - len(classes)} classes without a remark are not shown"
        if len(classes) > CLASSES_SHOWN:
            caption += f", nor {len(classes) - CLASSES_SHOWN} with one (--json FILE lists all)"
            classes = sorted(classes, key=lambda item: sum(item.segments.values()))[:CLASSES_SHOWN]
    splits = list(survey.classes[0].segments)
    table = Table(title="Classes", title_justify="left", caption=caption, caption_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("class", overflow="fold")
    for name in (*(f"segments, {split}" for split in splits), "shortest (s)", "median (s)"):
        table.add_column(name, justify="right")
    table.add_column("remark", overflow="fold")
    several = len(survey.annotations.vocabularies) > 1
    for item in classes:
        table.add_row(*_class_row(item, several=several))
    return table


def _class_row(item: ClassSurvey, *, several: bool) -> list[str]:
    lengths = ["" if value is None else f"{value:.3g}" for value in (item.shortest_s, item.median_s)]
    name = f"{item.vocabulary}: {item.label}" if several else item.label
    return [name, *map(str, item.segments.values()), *lengths, "; ".join(item.remarks)]
