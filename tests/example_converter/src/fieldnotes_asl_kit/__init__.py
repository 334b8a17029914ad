"""Field notes: a text file for each video, with the name of the video and a line for each action.

The first line is `length 42.5`, the video's duration in seconds. The other lines are `start-end action`, in
seconds: `3.5-8 heron lands`. A line that starts with `#` is a comment; `?` instead of an action is a segment
to ignore, because it is unclear what happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector, number_from_text, read_text
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.manifests.schema import Manifest


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert text files of field notes."""
    collector = Collector(report, mend=False)
    for path in sources:
        _collect(collector, path)
    return collector.finish(sources, dataset="fieldnotes")


def _collect(collector: Collector, path: Path) -> None:
    video_id = path.stem
    collector.video(video_id, str(path), annotated=True)  # even if no action follows
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        where = f"{path}:{number}"
        first, _, rest = line.strip().partition(" ")
        start, dash, end = first.partition("-")
        if not first or first.startswith("#"):
            continue
        if first == "length":
            duration_s = number_from_text(rest)
            if isinstance(duration_s, str):
                collector.error(where, f"length: must be a number of seconds, found {rest!r}", video_id=video_id)
            else:
                collector.video(video_id, where, duration=duration_s)
        elif not (dash and rest):
            collector.error(where, f"must be `start-end what`, found {line!r}", video_id=video_id)
        else:
            collector.segment(
                video_id,
                where,
                start=number_from_text(start),
                end=number_from_text(end),
                labels=None if rest == "?" else {ACTION: rest},
                reason="unclear",
            )
