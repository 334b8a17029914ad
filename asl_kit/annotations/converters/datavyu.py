"""Annotations made with Datavyu: its spreadsheet files (.opf), and their export as CSV.

The layout (https://datavyu.org; version 4 of the format, as scripts of several labs read and write it): an .opf file is
a ZIP archive with a text `db`, which is also what the export as CSV holds. The first line is `#4`. A column is a line
`name (MATRIX,true,comment)-code1|NOMINAL,code2|NOMINAL`; its cells follow, one a line:
`00:00:01:500,00:00:02:000,(value1,value2)` with onset and offset as hours, minutes, seconds and milliseconds. A
backslash precedes what is no separator, also a line feed in a value. A value `<code1>` of `code1` is not set. Older
columns of type NOMINAL or TEXT have one value. (Read in github.com/databrary/datavyu, ExportDatabaseFileController.java
and OpenDataStoreFileController.java.)

How it is converted:

- A file is that of one video, whose id is the name of the file without suffix; the database names no medium. Files
  of the same video are taken together. Datavyu does not state the duration of a video: add a table `video,duration`
  (`asl_kit.annotations.video_facts`) to the sources, or the video ends with its last segment.
- A cell is a segment from its onset to its offset. If its column has one code, the label is the value of the code, or
  the name of the column if it is empty. All columns share the vocabulary "action". The name of the column is an
  attribute of the segment.
- A column is a tier (`asl_kit.annotations.tiers`); if it has several codes, each of them is, `column.code`, and the
  user has to choose. A cell is then one segment with a class in each vocabulary. Cells of other columns, and cells
  without a value of the chosen codes, are left out and reported.
- A cell that ends where it starts, or whose offset is not set (0), is a point in time
  (`asl_kit.annotations.point_window`): without a window it is excluded and reported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.archives import read_file
from asl_kit.annotations.collector import Collector
from asl_kit.annotations.point_window import PointWindow
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import dataset_name, find_files
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.text_lines import read_text, whole_lines
from asl_kit.annotations.tiers import ALL_TIERS, TierChoice, TierOptions
from asl_kit.annotations.video_facts import DURATION_HINT, read_facts, state_facts
from asl_kit.annotations.video_names import split_name
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_COLUMN = re.compile(r"(.{1,300}?) \((MATRIX|NOMINAL|TEXT),(?:true|false),.*\)(?:-(.*))?")
_CLOCK = r"(\d{2,4}):(\d{2}):(\d{2}):(\d{3})"
_CELL = re.compile(rf"{_CLOCK},{_CLOCK},(.*)", re.ASCII)
_PART = re.compile(r"((?:[^\\,]|\\.?)*)(,|$)")


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    tiers: TierOptions = ALL_TIERS,
    point_window: PointWindow | None = None,
) -> AnnotationSet:
    """Convert .opf and .csv files of Datavyu, or folders of them."""
    files = find_files(sources, ["*.opf", "*.csv"])
    texts = {path: _text(path) for path in files if path.suffix.lower() == ".opf" or _is_export(path)}
    tables = [path for path in files if path not in texts]
    if not texts:
        raise AnnotationError(f"{files[0]}: not a file of Datavyu: expected a first line #4")
    collector = Collector(report, mend=False, manifest=manifest, duration_hint=DURATION_HINT, point_window=point_window)
    facts = read_facts(collector, tables, table)
    choice = TierChoice(tiers, collector)
    for path, text in texts.items():
        video_id, _ = split_name(path.stem)
        collector.video(video_id, str(path), annotated=True)
        _collect(collector, choice, text, video_id, path)
    choice.check()
    state_facts(collector, facts)
    return collector.finish(files, dataset=dataset_name(sources, "datavyu"), converter="datavyu")


def _is_export(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(5).removeprefix(b"\xef\xbb\xbf").startswith(b"#")
    except OSError:
        return False  # reading it as a table says what is wrong


def _text(path: Path) -> str:
    """Return the database of a file."""
    if path.suffix.lower() != ".opf":
        return read_text(path)
    data = read_file(path, "db", what="a spreadsheet of Datavyu, an archive with a file db")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: its database is not UTF-8 text: {error}") from None


def _collect(collector: Collector, choice: TierChoice, text: str, video_id: str, path: Path) -> None:
    """Pass all cells of a database to the collector."""
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[0].strip() != "#4":
        raise AnnotationError(
            f"{path}:1: expected #4, the version of Datavyu's format, found {lines[0]!r:.60}",
            hint="Open the file in Datavyu, and save it or export it again.",
        )
    column: str | None = None
    codes: list[str] = []
    is_matrix = True
    for number, line in whole_lines(lines[1:], start=2, joint=" "):
        where = f"{path}:{number}"
        cell = _CELL.fullmatch(line)
        header = None if cell else _COLUMN.fullmatch(line)
        if header is not None:
            column, is_matrix = header[1], header[2] == "MATRIX"
            codes = [code.rpartition("|")[0] or code for code in _parts(header[3] or "")] if is_matrix else []
            if len(set(codes)) < len(codes):
                raise AnnotationError(f"{where}: column {column!r}: two codes have the same name")
            choice.of_fields(column, codes)
        elif cell is not None and column is not None:
            values = _parts(cell[9][1:-1]) if is_matrix and cell[9][:1] + cell[9][-1:] == "()" else [_plain(cell[9])]
            if len(values) > max(len(codes), 1):
                raise AnnotationError(f"{where}: {len(values)} values, expected {len(codes)}: {', '.join(codes)}")
            values += [""] * (len(codes) - len(values))
            named = {
                code: "" if value == f"<{code}>" else value for code, value in zip(codes or [""], values, strict=True)
            }
            start_s, end_s = _seconds(cell.groups()[:4]), _seconds(cell.groups()[4:8])
            _collect_cell(collector, choice, (video_id, where, column), (start_s, end_s), named)
        elif line.strip():
            expected = "a column or a cell" if column else "a column"
            raise AnnotationError(f"{where}: expected {expected}, found {line!r:.60}")


def _collect_cell(
    collector: Collector,
    choice: TierChoice,
    place: tuple[str, str, str],
    times_s: tuple[float, float],
    values: dict[str, str],
) -> None:
    video_id, where, column = place
    start_s, end_s = times_s
    is_point = end_s in (start_s, 0.0)
    if is_point and collector.point_window is None:  # no choice is needed for what is left out
        collector.point(video_id, where, time=None, labels={})
        return
    for labels in choice.labels(column, values, video_id=video_id, where=where):
        if is_point:
            collector.point(video_id, where, time=start_s, labels=labels, attributes={"tier": column})
        else:
            collector.segment(video_id, where, start=start_s, end=end_s, labels=labels, attributes={"tier": column})


def _parts(text: str) -> list[str]:
    """Return the parts between commas that no backslash precedes, without backslashes."""
    parts = []
    for match in _PART.finditer(text):
        parts.append(_plain(match[1]))
        if not match[2]:
            break
    return parts


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text).strip()


def _seconds(clock: Sequence[str]) -> float:
    hours, minutes, seconds, milliseconds = map(int, clock)
    return (((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds) / 1000
