"""A table of facts about videos, `video,duration[,fps]`, beside annotations that do not tell them.

Annotation tools do not export how long a video is: one row a video tells it, in seconds. The table may be
anything that `asl_kit.annotations.converters.csv_table.read_table` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl_kit.annotations.collector import Collector
from asl_kit.annotations.converters.csv_table import read_table
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.sources import find_files
from asl_kit.annotations.video_names import split_name
from asl_kit.errors import AnnotationError

DURATION_HINT = "; give it in a table video,duration (a .csv file among the sources)"
"""What to do about a video of unknown length."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a table says of a video; None: nothing."""

    where: str
    duration_s: float | None
    fps: float | None


def find_sources(sources: Iterable[Path], suffix: str) -> tuple[list[Path], list[Path]]:
    """Return the files with this suffix, those in folders included, and the tables (`.csv`) among the sources.

    Raises
    ------
    MissingFileError
        If a source does not exist.
    AnnotationError
        If a source is neither, or there is no file with this suffix.
    """
    found = find_files(sources, [f"*{suffix}"], beside=["*.csv"])
    tables = [path for path in found if path.suffix.lower() == ".csv"]
    files = [path for path in found if path not in tables]
    if not files:
        raise AnnotationError(f"{', '.join(map(str, tables))}: only durations; expected a {suffix} file beside them")
    return files, tables


def dataset_name(sources: Sequence[Path], converter: str) -> str:
    """Return a name for annotations of one's own: that of the first source that is no table."""
    named = [source for source in sources if source.suffix.lower() != ".csv" or source.is_dir()]
    return (named[0].resolve().name if named[0].is_dir() else named[0].stem) or converter


def read_facts(collector: Collector, tables: Sequence[Path]) -> dict[str, VideoFacts]:
    """Read tables; what is no number above 0 is a error, and so is a second row of a video."""
    facts: dict[str, VideoFacts] = {}
    for path in tables:
        table = read_table(path, required=("video", "duration"), optional=("fps",))
        for line, row in table.by_column():
            where = f"{path}:{line}"
            video_id, _ = split_name(row["video"])
            if not video_id:
                collector.error(where, "video: must be the name of a video, found ''")
                continue
            if video_id in facts:
                collector.error(where, f"has a row already ({facts[video_id].where})", video_id=video_id)
                continue
            numbers = {
                name: table.positive(row.get(name, ""), clock=name == "duration") for name in ("duration", "fps")
            }
            for name, number in numbers.items():
                if number is None and row.get(name):
                    text = f"{name}: must be a number above 0, found {row[name]!r}"
                    collector.error(where, text, video_id=video_id)
            facts[video_id] = VideoFacts(where, numbers["duration"], numbers["fps"])
    return facts


def state_facts(
    collector: Collector, report: ConversionReport, facts: Mapping[str, VideoFacts], *, fps: bool = True
) -> None:
    """Give the collector the durations (with `fps`, the frame rates too) of the videos it knows; note the others."""
    known = {video_id: fact for video_id, fact in facts.items() if video_id in collector}
    for video_id, fact in known.items():
        collector.video(video_id, fact.where, duration=fact.duration_s, fps=fact.fps if fps else None)
    if len(known) < len(facts):
        report.note(f"{len(facts) - len(known)} videos of the tables of durations are not annotated, and left out")


def state_durations(
    collector: Collector, report: ConversionReport, facts: Mapping[str, VideoFacts], without_segment: Mapping[str, str]
) -> None:
    """Give the collector the durations of the videos that it knows.

    `without_segment` says where each video was read that has no segment: unless a table tells its duration, it is
    a error.
    """
    state_facts(collector, report, facts, fps=False)
    for video_id, where in without_segment.items():
        if video_id not in facts or facts[video_id].duration_s is None:
            text = f"duration: not stated, and there is no segment to tell it{DURATION_HINT}"
            collector.error(where, text, video_id=video_id)
