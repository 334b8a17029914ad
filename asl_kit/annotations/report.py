"""The report of a conversion: what happened to every item of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

from asl_kit.annotations.schema import AnnotationSet, Video
from asl_kit.annotations.similar_labels import SimilarLabels, find_similar_labels, similar_labels_warning
from asl_kit.base.console import warn
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import ExpectedCounts, Manifest

MAX_ITEMS_PRINTED = 5

Kind = Literal["segment", "ignored", "video"]
"""A segment of a class, an ignored segment, or a whole video."""

Outcome = Literal["dropped", "changed", "excluded", "flagged"]
"""Left out because it is invalid; kept with changes; left out because it is not part of the benchmark;
kept unchanged although it is doubtful."""

_NOUNS = {
    "segment": ("segment", "segments"),
    "ignored": ("ignored segment", "ignored segments"),
    "video": ("video", "videos"),
}


@dataclass(frozen=True, slots=True)
class ReportItem:
    """One item of the source that was left out, changed, or that is doubtful."""

    outcome: Outcome
    kind: Kind
    video: str
    where: str
    """File and line, or file and place in it."""
    reason: str


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Counts of one split."""

    videos: int = 0
    segments: int = 0
    ignored: int = 0
    classes: int = 0
    without_action: int = 0
    unannotated: int = 0

    @classmethod
    def of(cls, videos: Iterable[Video]) -> SplitCounts:
        """Return the counts of the videos of a split."""
        videos = list(videos)
        segments = [segment for video in videos for segment in video.segments or ()]
        return cls(
            videos=len(videos),
            segments=len(segments),
            ignored=sum(len(video.ignored) for video in videos),
            classes=len({tuple(sorted(segment.labels.items())) for segment in segments}),
            without_action=sum(video.segments == [] for video in videos),
            unannotated=sum(video.segments is None for video in videos),
        )


@dataclass(slots=True)
class ConversionReport:
    """Records what a converter does; every item that is left out has an entry here.

    A converter counts every video and segment that it reads, and records those
    that it drops or changes. `compare` then compares the result with the
    source and with the manifest.
    """

    dataset: str
    videos_read: int = 0
    segments_read: int = 0
    """Segments of the source, including ignored ones."""
    items: list[ReportItem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, SplitCounts] = field(default_factory=dict)
    expected: dict[str, ExpectedCounts] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    """Items that are unaccounted for, and differences of the source from the manifest; empty if there are none."""
    similar_labels: list[SimilarLabels] = field(default_factory=list)
    """Labels that may be spellings of one class; empty if a manifest names the classes."""
    places: dict[tuple[str, float, float], tuple[str, str]] = field(default_factory=dict)
    """Where users' own annotations state a segment (video, start, end): file and line, and a prefix of its fields."""
    without_split: set[str] = field(default_factory=set)
    """Ids of the videos whose split is not stated."""

    def note(self, text: str) -> None:
        """Record a decision that affects many items."""
        self.notes.append(text)

    def drop(self, kind: Kind, video: str, where: str, reason: str) -> None:
        """Record an item that is left out."""
        self.items.append(ReportItem("dropped", kind, video, where, reason))

    def change(self, kind: Kind, video: str, where: str, reason: str) -> None:
        """Record an item that is kept with changes."""
        self.items.append(ReportItem("changed", kind, video, where, reason))

    def exclude(self, kind: Kind, video: str, where: str, reason: str) -> None:
        """Record an item that is left out because the benchmark does not count it."""
        self.items.append(ReportItem("excluded", kind, video, where, reason))

    def flag(self, kind: Kind, video: str, where: str, reason: str) -> None:
        """Record an item that is kept unchanged although the source contradicts itself about it."""
        self.items.append(ReportItem("flagged", kind, video, where, reason))

    def compare(self, annotations: AnnotationSet, manifest: Manifest | None) -> None:
        """Count the items of each split, and list every difference from the source and from the manifest."""
        self.counts = {split: SplitCounts.of(videos.values()) for split, videos in annotations.by_split().items()}
        self.expected = dict(manifest.expected) if manifest else {}
        self.similar_labels = [] if manifest else find_similar_labels(annotations)
        self.differences = [*self._unaccounted(), *self._against_manifest(annotations, manifest)]
        for exclusion in manifest.exclusions if manifest else ():
            if exclusion.video not in annotations.videos and exclusion.split in self.counts:
                self.note(f"{exclusion.video} is not in the source; results often leave it out: {exclusion.reason}")

    def _unaccounted(self) -> list[str]:
        left_out = [item for item in self.items if item.outcome in ("dropped", "excluded")]
        dropped = Counter("video" if item.kind == "video" else "segment" for item in left_out)
        kept = {
            "video": sum(count.videos for count in self.counts.values()),
            "segment": sum(count.segments + count.ignored for count in self.counts.values()),
        }
        read = {"video": self.videos_read, "segment": self.segments_read}
        return [
            f"{read[kind]} {kind}s read, but {kept[kind]} kept and {dropped[kind]} reported as left out"
            for kind in ("video", "segment")
            if read[kind] != kept[kind] + dropped[kind]
        ]

    def _against_manifest(self, annotations: AnnotationSet, manifest: Manifest | None) -> list[str]:
        """Compare the counts of the source, which include dropped items, with those of the manifest."""
        videos = annotations.videos
        dropped = Counter((videos[item.video].split, item.kind) for item in self._dropped() if item.video in videos)
        lines = []
        for split, expected in self.expected.items():
            counts = self.counts.get(split)
            if counts is None:
                wanted = "" if expected.videos is None else f"{expected.videos} videos expected, "
                lines.append(f"split {split}: {wanted}none found among the sources")
                continue
            found = {
                "videos": counts.videos,
                "segments": counts.segments + dropped[split, "segment"],
                "ignored": counts.ignored + dropped[split, "ignored"],
            }
            for name, count in found.items():
                wanted = getattr(expected, name)
                if wanted is not None and wanted != count:
                    lines.append(f"split {split}: {wanted} {name} expected, {count} found")
        for vocabulary, classes in (manifest.expected_classes if manifest else {}).items():
            if classes != (named := len(annotations.vocabularies.get(vocabulary, ()))):
                lines.append(f"vocabulary {vocabulary}: {classes} classes expected, {named} found")
        unknown = [split for split in self.counts if self.expected and split not in self.expected]
        return lines + [f"split {split}: not a split of this dataset" for split in unknown]

    def _dropped(self) -> list[ReportItem]:
        return [item for item in self.items if item.outcome == "dropped"]

    def check_segments(self) -> None:
        """Raise an AnnotationError if the source has segments and all of them were dropped."""
        dropped = [item for item in self._dropped() if item.kind != "video"]
        if dropped and not any(counts.segments or counts.ignored for counts in self.counts.values()):
            first = dropped[0]
            raise AnnotationError(
                f"all {len(dropped)} segments would be left out, the first because of"
                f" {first.where}: video {first.video!r}: {first.reason}",
                hint=f"Nothing was written. Are these annotations of {self.dataset}? For your own, in the layout of"
                " ActivityNet or ActionFormer: `asl-kit convert activitynet-json`; as a table: `asl-kit convert csv`.",
            )

    def check_differences(self) -> None:
        """Raise an AnnotationError that lists the differences, if there are any."""
        if self.differences:
            count = f"{len(self.differences)} difference{'s' if len(self.differences) > 1 else ''}"
            raise AnnotationError(
                "\n  ".join([f"--strict: {count}", *self.differences]),
                hint="Nothing was written. Without --strict the file is written and the differences are printed.",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-ready data, without `places` and `without_split`."""
        report = asdict(replace(self, places={}, without_split=set()))
        del report["places"], report["without_split"]
        report["expected"] = {split: counts.model_dump() for split, counts in self.expected.items()}
        if not self.similar_labels:
            del report["similar_labels"]
        return report

    def print(self, console: Console) -> None:
        """Print counts, notes, the first items of each kind, differences and warnings; `to_json` has all items."""
        console.print(self._table())
        for note in self.notes:
            console.print(f"note: {note}")
        groups: dict[tuple[str, str], list[ReportItem]] = {}
        for item in self.items:
            groups.setdefault((item.outcome, item.kind), []).append(item)
        for (outcome, kind), items in groups.items():
            console.print(f"{outcome}: {len(items)} {_NOUNS[kind][len(items) > 1]}")
            for item in items[:MAX_ITEMS_PRINTED]:
                console.print(f"  {item.where}: video {item.video!r}: {item.reason}")
            if len(items) > MAX_ITEMS_PRINTED:
                console.print(f"  and {len(items) - MAX_ITEMS_PRINTED} more (--json FILE lists all)")
        for line in self.differences:
            console.print(f"difference: {line}")
        if self.similar_labels:
            warn(console, similar_labels_warning(self.similar_labels))

    def _table(self) -> Table:
        title = f"{self.dataset}: found/expected" if self.expected else self.dataset
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("split", no_wrap=True)
        for name in ("videos", "segments", "ignored", "classes", "no action", "unannotated"):
            table.add_column(name, justify="right", no_wrap=True)
        for split, counts in self.counts.items():
            expected = self.expected.get(split)
            cells = [
                f"{getattr(counts, name)}/{wanted}"
                if expected and (wanted := getattr(expected, name)) is not None
                else str(getattr(counts, name))
                for name in ("videos", "segments", "ignored")
            ]
            table.add_row(split, *cells, *map(str, (counts.classes, counts.without_action, counts.unannotated)))
        return table
