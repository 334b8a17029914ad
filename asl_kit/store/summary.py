"""The contents of a store, for `asl-kit store info` and `asl-kit store list`."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asl_kit.store.command import command_for
from asl_kit.store.spec import OWN_FPS
from asl_kit.store.store import FORMAT, VERSION, FeatureStore
from asl_kit.store.video import VideoInfo


@dataclass(frozen=True, slots=True)
class StoreSummary:
    """Counts and sizes of a store."""

    store: FeatureStore
    """The store."""
    videos: int
    features: int
    """Number of videos and of features."""
    hours: float
    """Total duration of the source videos."""
    size_bytes: int
    """Size of the videos' files."""
    attempts: dict[str, int]
    """Number of ledger entries, by outcome."""
    failed: dict[str, str]
    """Reason by id, for each video whose last attempt failed and that is not in the store."""

    @property
    def command(self) -> str:
        """The command that makes the store again; see `command_for`."""
        # A store at an address was copied there.
        path = self.store.path if isinstance(self.store.path, Path) else Path(self.store.path.name)
        return command_for(self.store.spec, dtype=self.store.dtype, store=path)

    def to_json(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return {
            "path": str(self.store.path),
            "format": FORMAT,
            "version": VERSION,
            "dtype": self.store.dtype,
            "spec": self.store.spec.model_dump(mode="json"),
            "command": self.command,
            "videos": self.videos,
            "features": self.features,
            "hours": self.hours,
            "size_bytes": self.size_bytes,
            "attempts": self.attempts,
            "failed": self.failed,
        }

    def to_text(self) -> str:
        """Return everything as readable text."""
        spec = self.store.spec.model_dump(mode="json") | {"dtype": self.store.dtype}
        spec["fps"] = spec["fps"] or OWN_FPS
        width = max(map(len, spec))
        ledger = ", ".join(f"{count} {outcome}" for outcome, count in self.attempts.items()) or "no attempts"
        lines = [
            str(self.store.path),
            *(f"  {name:<{width}}  {value}" for name, value in spec.items()),
            f"to make it again: {self.command}",
            f"{self.videos} videos, {self.hours:.2f} hours, {self.features} features, {_size_text(self.size_bytes)}",
            f"ledger: {ledger}",
        ]
        if self.failed:
            lines.append(f"failed, and not in the store: {len(self.failed)}")
            lines.extend(f"  {video_id}: {reason}" for video_id, reason in self.failed.items())
        return "\n".join(lines)


def describe(store: FeatureStore) -> StoreSummary:
    """Summarise a store; reads the metadata of every video, and the ledger.

    Raises
    ------
    StoreError
        If a video's metadata is damaged.
    """
    infos = list_videos(store)
    return StoreSummary(
        store=store,
        videos=len(infos),
        features=sum(info.grid.length for info in infos),
        hours=sum(info.duration_s for info in infos) / 3600,
        size_bytes=sum(_size_bytes(store, info) for info in infos),
        attempts=dict(Counter(attempt.outcome for attempt in store.ledger.attempts())),
        failed={video_id: reason for video_id, reason in store.ledger.failures().items() if video_id not in store},
    )


def list_videos(store: FeatureStore) -> list[VideoInfo]:
    """Return the metadata of every video, sorted by id; raises as `describe` does."""
    return [store.info(video_id) for video_id in store.video_ids()]


def table(infos: list[VideoInfo]) -> str:
    """Return videos as a text table: features, duration, frame rate, step."""
    rows = [("id", "T", "D", "duration (s)", "fps", "step (s)")]
    rows += [
        (
            info.video_id,
            str(info.shape[0]),
            str(info.shape[1]),
            f"{info.duration_s:.2f}",
            "-" if info.fps is None else f"{info.fps:.3f}",
            f"{info.grid.step_s:.4f}",
        )
        for info in infos
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def _size_bytes(store: FeatureStore, info: VideoInfo) -> int:
    folder = store.folder(info.video_id)
    if not isinstance(folder, Path):
        return math.prod(info.shape) * np.dtype(info.dtype).itemsize
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_size for entry in entries)


def _size_text(size_bytes: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.4g} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.2f} GiB"
