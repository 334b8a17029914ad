"""Stored videos compared with the files that they were made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from asl_kit.errors import first_few
from asl_kit.remote.address import Address
from asl_kit.store.identity import FileIdentity
from asl_kit.store.store import FeatureStore


@dataclass
class SourceComparison:
    """The videos of a store compared with files."""

    same: list[str] = field(default_factory=list)
    """Ids of the videos that were made from these files."""
    changed: dict[str, str] = field(default_factory=dict)
    """What differs, by id, for videos that were made from other files."""
    unknown: dict[str, str] = field(default_factory=dict)
    """Reason by id, for videos that cannot be compared with their files."""
    missing: list[str] = field(default_factory=list)
    """Ids of the videos without a file."""
    not_stored: list[str] = field(default_factory=list)
    """Ids of the files that the store does not hold."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields, JSON-ready."""
        return {
            "same": self.same,
            "changed": self.changed,
            "unknown": self.unknown,
            "missing": self.missing,
            "not_stored": self.not_stored,
        }

    def to_text(self) -> str:
        """Return the result as text."""
        total = len(self.same) + len(self.changed) + len(self.unknown)
        lines = [f"changed: {video_id}: {reason}" for video_id, reason in self.changed.items()]
        lines += [f"no file: {video_id}" for video_id in self.missing]
        lines += not_compared_lines(self.unknown)
        if self.not_stored:
            lines.append(f"not in the store: {len(self.not_stored)} of these files: {first_few(self.not_stored)}")
        return "\n".join([*lines, f"{len(self.same)} of {total + len(self.missing)} videos were made from these files"])


def compare_sources(store: FeatureStore, files: Mapping[str, Path | Address]) -> SourceComparison:
    """Compare every video of a store with its file.

    Parameters
    ----------
    store : FeatureStore
        The store.
    files : mapping of str to Path or Address
        Files by video id.
    """
    stored = store.video_ids()
    found = SourceComparison(not_stored=sorted(files.keys() - set(stored)))
    for video_id in stored:
        if video_id not in files:
            found.missing.append(video_id)
            continue
        check = store.check_source(video_id, partial(FileIdentity.of, files[video_id]))
        if check.state == "same":
            found.same.append(video_id)
        else:
            getattr(found, check.state)[video_id] = check.reason
    return found


def compared_lines(changed: Collection[str], failed: Collection[str], not_compared: Mapping[str, str]) -> list[str]:
    """Return the lines of a run's summary on stored videos and their files.

    Parameters
    ----------
    changed : collection of str
        Ids of stored videos whose file has changed.
    failed : collection of str
        Ids of videos that failed; the changed ones that are not among them were replaced.
    not_compared : mapping of str to str
        Reason by id, for stored videos that could not be compared with their files.
    """
    replaced = [video_id for video_id in changed if video_id not in failed]
    lines = [f"{len(replaced)} of them replaced, because their files had changed"] if replaced else []
    if kept := len(changed) - len(replaced):
        lines.append(f"{kept} stored videos were made from other files; --replace-changed makes them again")
    return lines + not_compared_lines(not_compared)


def not_compared_lines(reasons: Mapping[str, str]) -> list[str]:
    """Return a line for each reason why stored videos could not be compared with their files; `reasons` are by id."""
    return [
        f"{count} stored videos could not be compared with their files: {reason}"
        for reason, count in Counter(reasons.values()).items()
    ]
