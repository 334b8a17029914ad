"""The summary of an import."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from asl_kit.feature_import.timing import Length
from asl_kit.store.sources import compared_lines

SHOWN = 10
"""Entries of each list that the text shows."""


@dataclass
class ImportSummary:
    """What an import did; the text shortens the lists."""

    store: str
    """Path of the store."""
    layout: str = ""
    timing: str = ""
    """Layout and timing of all files."""
    matched_by: dict[str, int] = field(default_factory=dict)
    """Number of videos matched by each rule."""
    done: list[str] = field(default_factory=list)
    """Ids of the videos that were imported."""
    skipped: list[str] = field(default_factory=list)
    """Ids of the videos that the store already held."""
    changed: list[str] = field(default_factory=list)
    """Ids of the videos whose file had changed since they were stored; they failed, or were replaced."""
    not_compared: dict[str, str] = field(default_factory=dict)
    """Reason by id, for skipped videos that could not be compared with their files."""
    failed: dict[str, str] = field(default_factory=dict)
    """Reason by video id."""
    unmatched_files: list[str] = field(default_factory=list)
    """Files that match no annotated video."""
    videos_without_features: list[str] = field(default_factory=list)
    """Annotated videos without a file."""
    other_files: list[str] = field(default_factory=list)
    """Files with an unknown extension."""
    squeezed: list[str] = field(default_factory=list)
    """Files with axes of length 1, which were removed."""
    lengths: list[Length] = field(default_factory=list)
    """Videos whose features contradict their duration."""
    suggestions: list[str] = field(default_factory=list)
    """Options that would make nearly all lengths fit."""
    features: int = 0
    """Number of features written."""
    seconds: float = 0.0
    """Time taken."""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as a JSON-ready dict."""
        return asdict(self)

    def to_text(self) -> str:
        """Return the summary as text, with the first entries of each list."""
        rules = ", ".join(f"{count} by {rule}" for rule, count in self.matched_by.items())
        lines = [
            f"layout: {self.layout}",
            f"timing: {self.timing}",
            f"matched: {rules or 'nothing'}",
            f"{self.store}: {len(self.done)} videos imported, {len(self.skipped)} already in the store,"
            f" {len(self.failed)} failed; {self.features} features in {self.seconds:.1f} s",
            *compared_lines(self.changed, self.failed, self.not_compared),
        ]
        failed = [f"{name}: {reason}" for name, reason in self.failed.items()]
        for title, entries in (
            ("failed", failed),
            ("files that match no annotated video", self.unmatched_files),
            ("videos without features", self.videos_without_features),
            ("files with an unknown extension, ignored", self.other_files),
            ("files with axes of length 1, removed", self.squeezed),
            ("features that end more than a window away from their video", [str(entry) for entry in self.lengths]),
        ):
            if entries:
                lines += [f"{title}: {len(entries)}", *(f"  {entry}" for entry in entries[:SHOWN])]
            if len(entries) > SHOWN:
                lines.append(f"  and {len(entries) - SHOWN} more: --json FILE lists all")
        if self.suggestions:
            lines.append(f"the lengths would fit with {' or '.join(self.suggestions)}: check how these were made")
        return "\n".join(lines)
