"""Users' own annotations, as a table: `video,start,end,label[,split,duration,fps,path]`.

There is one row per segment; the first row names the columns, in any order. A row with empty `start`, `end` and label
states that the video was annotated and has no action. `split`, `duration`, `fps` and `path` are
facts about the video: give them in one of its rows or in all of them. A video without a split is in
`train`, and a video without a duration ends with its last segment; the report says so. Rows that contradict
themselves or each other are refused, with all errors in one message.

Files that spreadsheets write are read by these rules (see also `asl_kit.annotations.tables`):

- Column names are not case-sensitive, and spaces and hyphens count as underscores; `asl_kit.annotations.column_words`
  lists the other names that are accepted, in several languages. The report says which of them were used. `TableOptions`
  state other columns, and other encodings than UTF-8.
- `start`, `end` and `duration` are seconds (`75.5`) or a clock time (`1:15.5`, `0:01:15.5`). A decimal comma
  is accepted where commas do not separate cells.
- A video that is named by its file, `kitchen/a.mp4`, has the id `a` and this path; ids without the suffix of a
  video file stay as they are.
- `nan`, `NA`, `None` and the like, which programs write for an empty cell, are empty cells, and never a class.
- Columns `label:verb`, `label:noun` give a segment a class in each of several vocabularies; some may be empty.
- Any other column becomes an attribute of the segment, as text, where it is not empty. A name that is
  almost that of a missing column (`lable`) is refused as a misspelling.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.collector import ACTION, NO_VALUE, Collector
from asl_kit.annotations.named_tables import Layout, read_named_table
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.tables import DEFAULT_TABLE, LABEL_OF, TIME_HINT, Table, TableOptions
from asl_kit.annotations.video_facts import read_row
from asl_kit.annotations.video_names import split_name
from asl_kit.manifests.schema import Manifest

LAYOUT = Layout(
    required=("video", "start", "end", "label"), optional=("split", "duration", "fps", "path"), vocabularies=True
)


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
) -> AnnotationSet:
    """Convert one or more tables of segments."""
    collector = Collector(report, mend=False, manifest=manifest)
    for path in sources:
        named = read_named_table(path, LAYOUT, table)
        report.notes += named.notes
        unused = sum(
            _collect(collector, named.table, row, others, f"{path}:{line}") for line, row, others in named.rows()
        )
        if unused:
            report.note(f"{path.name}: {unused} rows of videos without action have further cells, which are not kept")
    return collector.finish(sources, dataset=Path(min(path.name for path in sources)).stem, converter="csv")


def _collect(collector: Collector, table: Table, row: dict[str, str], others: dict[str, str], where: str) -> bool:
    """Collect a row and its cells in further columns; return whether it has cells that cannot be kept."""
    words = {name: cell for name, cell in row.items() if cell in NO_VALUE and name != "video"}
    row = row | dict.fromkeys(words, "")
    video_id, path = split_name(row["video"])
    facts = read_row(collector, table, row, where, video_id)
    if facts is None:
        return False
    collector.video(
        video_id,
        where,
        split=row.get("split") or None,
        duration=facts.duration_s,
        fps=facts.fps,
        path=row.get("path", path) or None,
    )
    labels = {_vocabulary(name): cell for name, cell in row.items() if _vocabulary(name) and cell}
    attributes = {header: cell for header, cell in others.items() if cell}
    given = [name for name in ("start", "end") if row[name]] + ["label"] * bool(labels)
    if not given:
        collector.no_action(video_id, where)
        return bool(attributes)
    if len(given) < 3:
        missing = ", ".join(name for name in ("start", "end", "label") if name not in given)
        found = f" ({', '.join(dict.fromkeys(words.values()))} counts as empty)" if words else ""
        collector.error(where, f"{missing}: empty{found}, but {', '.join(given)} is given", video_id=video_id)
        return False
    start, end = table.seconds(row["start"]), table.seconds(row["end"])
    if isinstance(start, str) or isinstance(end, str):
        collector.hint = TIME_HINT
    collector.segment(video_id, where, start=start, end=end, labels=labels, attributes=attributes)
    return False


def _vocabulary(column: str) -> str:
    """Return the vocabulary of the labels in a column, or an empty text for another column."""
    return ACTION if column == "label" else column.removeprefix(LABEL_OF) if column.startswith(LABEL_OF) else ""
