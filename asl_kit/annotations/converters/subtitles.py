"""Subtitles and chapter lists that name actions: WebVTT (.vtt), SubRip (.srt), and chapters as text (.txt).

The layouts: WebVTT (https://www.w3.org/TR/webvtt1): `WEBVTT`, then blocks between blank lines; a cue is an optional
identifier, `00:01.000 --> 00:02.500` with optional settings, and its text with tags such as `<v Ann>`. SubRip: a
number, `00:00:01,000 --> 00:00:02,500`, and the text. Chapters: lines `1:05 pour water` or `[01:05.250] - pour
water`, as in descriptions on YouTube; FFmpeg's metadata (https://ffmpeg.org/ffmpeg-formats.html#Metadata-1:
`;FFMETADATA1`, sections `[CHAPTER]` with `TIMEBASE`, `START`, `END`, `title`); or mkvtoolnix's
`CHAPTER01=00:01:05.250`, `CHAPTER01NAME=...`.

How it is converted:

- A file is that of one video, whose id is the name of the file without suffix (`a.vtt`, `a.mp4.vtt`: `a`). Files of the
  same video are taken together.
- A cue is a segment, and its text the class, in the vocabulary "action": without tags, also those of SubRip in braces,
  with entities such as `&amp;` resolved, and with its lines joined by spaces. The voice (`<v Ann>`) is an attribute of
  the segment.
- A chapter without an end ends where the next one starts; the last one with its video, whose duration a table
  `video,duration` among the sources states (`asl_kit.annotations.video_facts`).
- In WebVTT, times end the cue before, as in browsers; in SubRip a blank line has to.
- A cue or a chapter without a text is excluded and reported. Notes, styles and regions are not cues. Any other text
  is refused.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import dataset_name, find_sources
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.text_lines import read_text, whole_lines
from asl_kit.annotations.video_facts import DURATION_HINT, VideoFacts, read_facts, state_facts
from asl_kit.annotations.video_names import split_name
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2}(?:[.,]\d{1,9})?)"
_TIME = re.compile(_CLOCK, re.ASCII)
_CUE_TIMES = re.compile(rf"({_CLOCK})\s*-->\s*({_CLOCK})(?:\s.*)?", re.ASCII)
_CHAPTER = re.compile(rf"[\[(]?({_CLOCK})[\])]?(?:\s*[-–—:]\s+|\s+|$)(.*)", re.ASCII)
_NUMBERED = re.compile(r"CHAPTER(\d{1,4})(NAME)?=(.*)", re.ASCII | re.IGNORECASE)
_SETTING = re.compile(r"([^=]{1,60})=(.*)")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]*)>")
_TAG = re.compile(
    r"</?(?:[biu]|c|v|lang|ruby|rt|font|s)(?:[.\s][^<>]*)?>|<(?:\d+:)?\d+:\d+\.\d+>|\{\\[^{}]*\}", re.IGNORECASE
)
_NO_CUES = ("NOTE", "STYLE", "REGION")
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
) -> AnnotationSet:
    """Convert .vtt, .srt and .txt files, or folders of them."""
    files, tables = find_sources(sources, ["*.vtt", "*.srt", "*.txt"])
    collector = Collector(report, mend=False, manifest=manifest, duration_hint=DURATION_HINT)
    facts = read_facts(collector, tables, table)
    for path in files:
        _collect(collector, facts, path)
    state_facts(collector, facts)
    return collector.finish([*files, *tables], dataset=dataset_name(sources, "subtitles"), converter="subtitles")


@dataclass(frozen=True, slots=True)
class _Cue:
    """A stretch of time with a text; `end_s` is None if it lasts until the next one."""

    line: int
    start_s: float
    end_s: float | None
    text: str
    voice: str = ""


def _collect(collector: Collector, facts: Mapping[str, VideoFacts], path: Path) -> None:
    video_id, _ = split_name(path.stem)
    lines = read_text(path).split("\n")
    suffix = path.suffix.lower()
    cues = list(_cues(path, lines) if suffix != ".txt" else _chapters(path, lines))
    if not cues and suffix != ".vtt":
        raise AnnotationError(f"{path}: neither cues nor chapters: expected times such as {_EXPECTED[suffix]!r}")
    collector.video(video_id, str(path), annotated=True)
    starts_s = sorted(cue.start_s for cue in cues)
    fact = facts.get(video_id)
    for cue in cues:
        where = f"{path}:{cue.line}"
        if not cue.text:
            collector.exclude(video_id, where, "without a text")
            continue
        end_s = cue.end_s
        if end_s is None:
            end_s = next((start_s for start_s in starts_s if start_s > cue.start_s), fact.duration_s if fact else None)
        if end_s is None:
            collector.error(where, f"the last chapter ends with its video{DURATION_HINT}", video_id=video_id)
            continue
        attributes = {"voice": cue.voice} if cue.voice else {}
        collector.segment(
            video_id, where, start=cue.start_s, end=end_s, labels={ACTION: cue.text}, attributes=attributes
        )


_EXPECTED = {".vtt": "00:01.000 --> 00:02.500", ".srt": "00:00:01,000 --> 00:00:02,500", ".txt": "1:05 pour water"}


def _cues(path: Path, lines: Sequence[str]) -> Iterator[_Cue]:
    """Yield the cues of WebVTT or SubRip: blocks of lines between blank lines."""
    is_webvtt = path.suffix.lower() == ".vtt"
    if is_webvtt and not re.match(r"WEBVTT(?:[ \t]|$)", lines[0]):
        raise AnnotationError(f"{path}:1: not a WebVTT file: expected a first line WEBVTT, found {lines[0]!r:.60}")
    numbered = list(enumerate(lines, start=1))
    if is_webvtt:
        numbered = list(_with_blank_lines(numbered[1:]))
    for is_blank, group in groupby(numbered, key=lambda line: not line[1].strip()):
        block = list(group)
        first = block[0][1].strip()
        is_cue = any("-->" in line for _, line in block)
        if is_blank or (is_webvtt and not is_cue and (first.split()[0] in _NO_CUES or block[0][0] == 2)):
            continue
        place = next((place for place, (_, line) in enumerate(block[:2]) if "-->" in line), None)
        if place is None:
            text = f"expected a cue with times such as {_EXPECTED[path.suffix.lower()]!r}, found {first!r:.60}"
            raise AnnotationError(f"{path}:{block[0][0]}: {text}")
        number, times = block[place]
        match = _CUE_TIMES.fullmatch(times.strip())
        start_s, end_s = (_seconds(match[1]), _seconds(match[5])) if match else (None, None)
        if start_s is None or end_s is None:
            text = f"expected times such as {_EXPECTED[path.suffix.lower()]!r}, found {times.strip()!r:.60}"
            raise AnnotationError(f"{path}:{number}: {text}")
        if (next_cue := next((found for found, line in block[place + 1 :] if "-->" in line), None)) is not None:
            raise AnnotationError(
                f"{path}:{next_cue}: times in the text of a cue: expected a blank line between two cues"
            )
        text = " ".join(line.strip() for _, line in block[place + 1 :])
        voice = _VOICE.search(text)
        yield _Cue(number, start_s, end_s, _plain(text), html.unescape(voice[1]).strip() if voice else "")


def _with_blank_lines(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield lines of WebVTT, with a blank line between a cue and times that follow it directly, as yt-dlp writes them.

    Not if the number of a cue precedes the times: it would be taken for text of the cue before.
    """
    in_cue, before = False, ""
    for number, line in lines:
        has_times = "-->" in line
        if has_times and in_cue and not before.strip().isdecimal():
            yield number, ""
        in_cue = bool(line.strip()) and (in_cue or has_times)
        before = line
        yield number, line


def _plain(text: str) -> str:
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _seconds(clock: str) -> float | None:
    match = _TIME.fullmatch(clock)
    if match is None:
        return None
    hours, minutes, seconds = int(match[1] or 0), int(match[2]), float(match[3].replace(",", "."))
    return hours * 3600 + minutes * 60 + seconds if seconds < 60 and (match[1] is None or minutes < 60) else None


def _chapters(path: Path, lines: Sequence[str]) -> Iterator[_Cue]:
    if lines[0].strip() == ";FFMETADATA1":
        return _of_ffmpeg(path, lines)
    if any(_NUMBERED.fullmatch(line.strip()) for line in lines):
        return _of_mkvtoolnix(path, lines)
    return _of_list(path, lines)


def _of_list(path: Path, lines: Sequence[str]) -> Iterator[_Cue]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            match = _CHAPTER.fullmatch(line.strip())
            start_s = _seconds(match[1]) if match else None
            if match is None or start_s is None:
                raise AnnotationError(f"{path}:{number}: expected a line such as '1:05 pour water', found {line!r:.60}")
            yield _Cue(number, start_s, None, match[5].strip())


def _of_mkvtoolnix(path: Path, lines: Sequence[str]) -> Iterator[_Cue]:
    starts: dict[str, tuple[int, float]] = {}
    names: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _NUMBERED.fullmatch(line.strip())
        if match is None and line.strip():
            raise AnnotationError(f"{path}:{number}: expected CHAPTER01=... or CHAPTER01NAME=..., found {line!r:.60}")
        if match is None:
            continue
        if match[1] in (names if match[2] else starts):
            raise AnnotationError(f"{path}:{number}: chapter {match[1]} is there twice")
        start_s = None if match[2] else _seconds(match[3].strip())
        if match[2]:
            names[match[1]] = match[3].strip()
        elif start_s is None:
            raise AnnotationError(f"{path}:{number}: expected a time such as 00:01:05.250, found {match[3]!r:.60}")
        else:
            starts[match[1]] = (number, start_s)
    if lost := names.keys() - starts.keys():
        raise AnnotationError(f"{path}: chapter {min(lost)} has a name, but no time")
    for chapter, (number, start_s) in starts.items():
        yield _Cue(number, start_s, None, names.get(chapter, ""))


def _of_ffmpeg(path: Path, lines: Sequence[str]) -> Iterator[_Cue]:
    chapters: list[tuple[int, dict[str, str]]] = []
    in_chapter = False
    for number, line in whole_lines(lines, start=1, joint=" "):
        if line.startswith("["):
            in_chapter = line.startswith("[CHAPTER]")  # FFmpeg ignores the rest of the line
            if in_chapter:
                chapters.append((number, {}))
            elif not line.startswith("[STREAM]"):
                raise AnnotationError(f"{path}:{number}: expected a section [CHAPTER] or [STREAM], found {line!r:.60}")
        elif in_chapter and line.strip() and line[0] not in ";#":
            match = _SETTING.fullmatch(line)
            if match is None:
                raise AnnotationError(f"{path}:{number}: expected NAME=VALUE, found {line!r:.60}")
            chapters[-1][1][match[1].strip().lower()] = re.sub(r"\\(.)", r"\1", match[2]).strip()
    for number, values in chapters:
        yield _ffmpeg_chapter(path, number, values)


def _ffmpeg_chapter(path: Path, line: int, values: Mapping[str, str]) -> _Cue:
    base = values.get("timebase", "1/1000000000").partition("/")
    texts = [base[0], base[2], values.get("start", ""), values.get("end", "0")]
    if not all(_WHOLE.fullmatch(text) for text in texts) or int(texts[1]) == 0:
        raise AnnotationError(f"{path}:{line}: expected TIMEBASE=1/1000, START and END, found {dict(values)!r:.90}")
    numerator, denominator, start, end = map(int, texts)
    end_s = end * numerator / denominator if "end" in values else None
    return _Cue(line, start * numerator / denominator, end_s, values.get("title", ""))
