"""A table of facts about videos, `video,duration[,fps]`, for annotations that do not state them.

Annotation tools do not export the duration of a video. This table has one row per video, with the duration in seconds
or as a clock time. `asl_kit.annotations.tables` describes the formats of tables that are accepted, and
`asl_kit.annotations.column_words` other names of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl_kit.annotations.collector import Collector
from asl_kit.annotations.named_tables import Layout, read_named_table
from asl_kit.annotations.tables import DEFAULT_TABLE, TIME_HINT, Table, TableOptions
from asl_kit.annotations.video_names import split_name
from asl_kit.errors import UsageError

LAYOUT = Layout(required=("video", "duration"), optional=("fps",), others=False)
DURATION_HINT = "; give it in a table video,duration (a .csv file among the sources)"
"""What to do about a video of unknown duration."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a table states about a video; None: nothing."""

    where: str
    duration_s: float | None
    fps: float | None


def read_row(
    collector: Collector, table: Table, row: Mapping[str, str], where: str, video_id: str
) -> VideoFacts | None:
    """Return the duration and the frame rate that a row states, or None if the row names no video.

    A value that is not a number above 0 is an error.
    """
    if not video_id:
        collector.error(where, "video: must be the name of a video, found ''")
        return None
    if isinstance(table.seconds(row.get("duration") or "0"), str):
        collector.hint = TIME_HINT
    duration_s, fps = (
        collector.positive(where, name, row[name], video_id=video_id, parse=parse) if row.get(name) else None
        for name, parse in (("duration", table.seconds), ("fps", table.number))
    )
    return VideoFacts(where, duration_s, fps)


def read_facts(
    collector: Collector, tables: Sequence[Path], options: TableOptions = DEFAULT_TABLE, *, layout: Layout = LAYOUT
) -> dict[str, VideoFacts]:
    """Read tables of facts; a second row of the same video is an error, and so are options without a table."""
    refuse_unused(options, tables)
    facts: dict[str, VideoFacts] = {}
    for path in tables:
        named = read_named_table(path, layout, options)
        table = named.table
        collector.report.notes += named.notes
        for line, row, _ in named.rows():
            where = f"{path}:{line}"
            video_id, _ = split_name(row["video"])
            if video_id in facts:
                collector.error(where, f"has a row already ({facts[video_id].where})", video_id=video_id)
            elif (fact := read_row(collector, table, row, where, video_id)) is not None:
                facts[video_id] = fact
    return facts


def refuse_unused(options: TableOptions, tables: Sequence[Path]) -> None:
    """Raise a UsageError if options for tables are stated and there are no tables."""
    if options != DEFAULT_TABLE and not tables:
        raise UsageError(
            "columns or an encoding are stated, but no source is a table",
            hint="--column and --encoding are for a table video,duration[,fps] among the sources.",
        )


def state_facts(collector: Collector, facts: Mapping[str, VideoFacts]) -> None:
    """Add durations and frame rates to the videos that are recorded; the report notes the other videos."""
    known = {video_id: fact for video_id, fact in facts.items() if video_id in collector}
    for video_id, fact in known.items():
        collector.video(video_id, fact.where, duration=fact.duration_s, fps=fact.fps)
    if len(known) < len(facts):
        count = len(facts) - len(known)
        collector.report.note(f"{count} videos of the tables of durations are not annotated, and left out")
