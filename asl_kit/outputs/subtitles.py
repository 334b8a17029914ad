"""Detections as subtitles for any player: SubRip (.srt) and WebVTT (.vtt).

Some players stack overlapping subtitles, others replace one with the next. So subtitles never overlap here: a new one
starts wherever an action starts or ends, and names all current actions, highest score first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from asl_kit.base.files import write_text
from asl_kit.detections.table import Detection
from asl_kit.outputs.selection import on_one_line

MIN_DISPLAY_MS = 1000
"""An action is named for at least this long, so that it can be read."""
MAX_LINES = 3
"""At most this many actions are named at a time, those with the highest scores."""

_JOINER = "\N{WORD JOINER}"  # has no width, and separates characters that together would be markup


class Cue(NamedTuple):
    """Lines that are shown from one time to another."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


def make_cues(shown: Sequence[Detection], duration_s: float) -> list[Cue]:
    """Return cues in order of time, without overlap.

    A line is an action and its score, ``run 0.91``; of one class only the highest at any time. An action shorter than
    `MIN_DISPLAY_MS` is shown for that long; at the end of the video it starts earlier. If more than `MAX_LINES`
    actions are current, the last line gives the number of the others.
    """
    spans = [(*_display_span(row, round(duration_s * 1000)), row) for row in shown]
    starting: dict[int, list[Detection]] = {}
    ending: dict[int, list[Detection]] = {}
    for start_ms, end_ms, row in spans:
        starting.setdefault(start_ms, []).append(row)
        ending.setdefault(end_ms, []).append(row)
    cues: list[Cue] = []
    current: list[Detection] = []
    for start_ms, end_ms in pairwise(sorted({*starting, *ending})):
        current = [row for row in current if row not in ending.get(start_ms, ())] + starting.get(start_ms, [])
        lines = _name(current)
        if cues and cues[-1].end_ms == start_ms and cues[-1].lines == lines:
            cues[-1] = cues[-1]._replace(end_ms=end_ms)
        elif lines:
            cues.append(Cue(start_ms, end_ms, lines))
    return cues


def _display_span(row: Detection, duration_ms: int) -> tuple[int, int]:
    start_ms = round(row.start_s * 1000)
    end_ms = max(round(row.end_s * 1000), start_ms + MIN_DISPLAY_MS)
    if end_ms > duration_ms:
        end_ms = max(duration_ms, round(row.end_s * 1000), 1)
        start_ms = max(0, min(start_ms, end_ms - MIN_DISPLAY_MS))
    return start_ms, end_ms


def _name(current: Sequence[Detection]) -> tuple[str, ...]:
    best: dict[str, Detection] = {}
    for row in sorted(current, key=lambda row: -row.score):
        best.setdefault(row.label, row)
    lines = [f"{on_one_line(row.label)} {row.score:.2f}" for row in best.values()]
    more = len(lines) - MAX_LINES
    return tuple(lines[:MAX_LINES]) + ((f"and {more} more",) if more > 0 else ())


def to_srt(cues: Sequence[Cue]) -> str:
    """Return cues as SubRip. It has no escapes: U+2060 separates characters that players would read as markup."""

    def escape(line: str) -> str:
        for character in "<{\\":
            line = line.replace(character, character + _JOINER)
        return line.replace("-->", f"--{_JOINER}>")

    return "".join(
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        + "".join(f"{escape(line)}\n" for line in cue.lines)
        + "\n"
        for number, cue in enumerate(cues, start=1)
    )


def to_vtt(cues: Sequence[Cue]) -> str:
    """Return cues as WebVTT (https://www.w3.org/TR/webvtt1/)."""

    def escape(line: str) -> str:
        return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    return "WEBVTT\n" + "".join(
        f"\n{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n"
        + "".join(f"{escape(line)}\n" for line in cue.lines)
        for cue in cues
    )


def _clock(time_ms: int, mark: str) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{mark}{milliseconds:03}"


WRITERS: dict[str, Callable[[Sequence[Cue]], str]] = {".srt": to_srt, ".vtt": to_vtt}


def write_subtitles(path: Path, shown: Sequence[Detection], *, duration_s: float, gap_s: float = 0.0) -> None:
    """Write the subtitles of a video atomically, in the format of the suffix: ``.srt`` or ``.vtt``.

    They are delayed by `gap_s`: see `asl_kit.outputs.file_start.FileStart`.
    """
    gap_ms = round(gap_s * 1000)
    cues = [
        cue._replace(start_ms=cue.start_ms + gap_ms, end_ms=cue.end_ms + gap_ms) for cue in make_cues(shown, duration_s)
    ]
    write_text(path, WRITERS[path.suffix](cues))
