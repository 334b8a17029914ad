"""Annotations made with Praat: its TextGrid files, as long or short text.

The layout (https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html): after ``"ooTextFile"`` and
``"TextGrid"`` the start and end of the sound in seconds, and the tiers: an ``"IntervalTier"`` with its name and
adjacent intervals (start, end, text), or a ``"TextTier"`` with points (time, text). Praat itself reads what stands free
between spaces: numbers, texts in quotes (a quote in them is doubled) and flags such as ``<exists>``. Words such as
``xmin =`` are for people, and ``!`` starts a comment; so the long and the short text are one format.

How it is converted:

- A file is that of one video, whose id is the name of the file without suffix; a TextGrid names no medium. Its duration
  is the end of the TextGrid, unless a table `video,duration` among the sources states it.
- An interval with a text is a segment, and the text its class. The name of the tier is an attribute of the segment. All
  tiers share the vocabulary "action"; if tiers are chosen (`asl_kit.annotations.tiers`), each has the vocabulary that
  is stated, and intervals of others are left out and reported.
- Intervals without a text are the gaps between annotations; the report counts them.
- Points are points in time (`asl_kit.annotations.point_window`). Without a window they are excluded and reported, and
  so are those without a text.
- Binary and chronological TextGrids are refused: save them as a text file in Praat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from asl_kit.annotations.collector import Collector, as_number
from asl_kit.annotations.point_window import PointWindow
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import dataset_name, find_sources
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.text_lines import read_text
from asl_kit.annotations.tiers import ALL_TIERS, TierChoice, TierOptions
from asl_kit.annotations.video_facts import DURATION_HINT, read_facts, state_facts
from asl_kit.annotations.video_names import split_name
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_TEXT_FILES = ("ooTextFile", "ooTextFile short")
"""The second is that of older versions of Praat, in short text files."""
_TOKEN = re.compile(
    r"""(?<!\S)(?:
        "(?P<text>(?:[^"]|"")*)"(?!\S) | (?P<number>[-+]?\d[\d.eE+-]*)(?!\S) | (?P<flag><\w+>)(?!\S) | ![^\n]*
    )""",
    re.ASCII | re.VERBOSE,
)


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    tiers: TierOptions = ALL_TIERS,
    point_window: PointWindow | None = None,
) -> AnnotationSet:
    """Convert .TextGrid files, or folders of them."""
    files, tables = find_sources(sources, ["*.textgrid"])
    collector = Collector(report, mend=False, manifest=manifest, duration_hint=DURATION_HINT, point_window=point_window)
    facts = read_facts(collector, tables, table)
    choice = TierChoice(tiers, collector)
    gaps = 0
    for path in files:
        video_id, _ = split_name(path.stem)
        tokens = _Tokens(path)
        duration_s = tokens.header()
        known = video_id in facts and facts[video_id].duration_s is not None
        collector.video(video_id, str(path), duration=None if known or duration_s <= 0 else duration_s, annotated=True)
        gaps += _collect(collector, choice, tokens, video_id, path)
    choice.check()
    if gaps:
        report.note(f"{gaps} intervals without a text are gaps between segments")
    state_facts(collector, facts)
    return collector.finish([*files, *tables], dataset=dataset_name(sources, "textgrid"), converter="textgrid")


def _collect(collector: Collector, choice: TierChoice, tokens: _Tokens, video_id: str, path: Path) -> int:
    """Pass all intervals and points to the collector; return the number of intervals without a text."""
    gaps = 0
    for _ in range(tokens.count("number of tiers")):
        kind, tier = tokens.text("class of a tier"), tokens.text("name of a tier")
        if kind not in ("IntervalTier", "TextTier"):
            raise AnnotationError(f"{path}: tier {tier!r}: expected an IntervalTier or TextTier, found {kind!r:.40}")
        choice.found(tier)
        for place in ("start", "end"):
            tokens.number(f"{place} of tier {tier!r}")
        for number in range(1, tokens.count(f"number of items of tier {tier!r}") + 1):
            where = f"{path}: tier {tier!r}, {'interval' if kind == 'IntervalTier' else 'point'} {number}"
            start_s = tokens.number(f"time of {where}")
            end_s = tokens.number(f"end of {where}") if kind == "IntervalTier" else start_s
            label = " ".join(tokens.text(f"text of {where}").split())
            if not label and kind == "IntervalTier":
                gaps += 1
                continue
            vocabulary = choice.vocabulary(tier, video_id=video_id, where=where)
            if vocabulary is None:
                continue
            labels, attributes = {vocabulary: label}, {"tier": tier} if tier else {}
            if kind == "IntervalTier":
                collector.segment(video_id, where, start=start_s, end=end_s, labels=labels, attributes=attributes)
            elif label:
                collector.point(video_id, where, time=start_s, labels=labels, attributes=attributes)
            else:
                collector.exclude(video_id, where, "a point without a text")
    tokens.end()
    return gaps


class _Tokens:
    """The free-standing texts, numbers and flags of a file, in their order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                is_binary = file.read(12) == b"ooBinaryFile"
        except OSError:
            is_binary = False  # read_text says what is wrong
        if is_binary:
            raise AnnotationError(f"{path}: a binary file of Praat", hint="In Praat: Save > Save as text file.")
        self._tokens = self._find(read_text(path))

    @staticmethod
    def _find(text: str) -> Iterator[str | float]:
        for match in _TOKEN.finditer(text):
            if match["text"] is not None:
                yield match["text"].replace('""', '"')
            elif match["flag"] is not None:
                yield _Flag(match["flag"])
            elif match["number"] is not None:
                try:
                    yield float(match["number"])
                except ValueError:
                    yield _Flag(match["number"])

    def header(self) -> float:
        """Read what precedes the number of tiers, and return the end of the sound."""
        first = [next(self._tokens, None), next(self._tokens, None)]
        if first[0] not in _TEXT_FILES or first[1] != "TextGrid":
            found = ", ".join(repr(token)[:40] for token in first)
            raise AnnotationError(
                f"{self._path}: not a TextGrid as text: expected 'ooTextFile', 'TextGrid', found {found}"
            )
        self.number("start of the TextGrid")
        duration_s = self.number("end of the TextGrid")
        if next(self._tokens, None) != "<exists>":
            raise AnnotationError(f"{self._path}: a TextGrid without tiers")
        return duration_s

    def number(self, what: str) -> float:
        """Return the next token, a number."""
        number = as_number(next(self._tokens, None))
        if number is None:
            raise AnnotationError(f"{self._path}: {what}: expected a number")
        return number

    def count(self, what: str) -> int:
        """Return the next token, a whole number from 0."""
        number = self.number(what)
        if not number.is_integer() or number < 0:
            raise AnnotationError(f"{self._path}: {what}: expected a whole number, found {number:g}")
        return int(number)

    def text(self, what: str) -> str:
        """Return the next token, a text."""
        text = next(self._tokens, None)
        if not isinstance(text, str) or isinstance(text, _Flag):
            raise AnnotationError(f"{self._path}: {what}: expected a text in quotes")
        return text

    def end(self) -> None:
        """Refuse further tokens."""
        left = next(self._tokens, None)
        if left is not None:
            raise AnnotationError(f"{self._path}: expected the end of the file after the last tier, found {left!r:.40}")


class _Flag(str):
    """A flag, such as <exists>, or a malformed number: neither a text nor a number."""

    __slots__ = ()
