"""Detections of many videos as columns of numbers, and the tables that one model makes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_kit.errors import PredictionError

JOINT = ","
"""Joins the class names of a detection that names several, `take,plate`, and the names of their vocabularies."""
MIN_SCORE = 0.3
"""Default of the lowest score that people are shown."""


class Detection(NamedTuple):
    """One detection, its video and class by name: what `Detections.from_lists` takes and `Detections.rows` returns."""

    video_id: str
    start_s: float
    end_s: float
    label: str
    score: float


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of many videos, as read-only columns of equal length (N,).

    Rows are sorted by video, in the order of `video_ids`; within a video they keep the order in which they were
    given. A row takes 32 bytes, so that millions of rows are fine.

    Parameters
    ----------
    video_ids : tuple of str
        All videos that were searched, with or without detections.
    video : (N,) int
        Index into `video_ids`.
    start_s, end_s : (N,) float
        The half-open interval [start_s, end_s), in seconds.
    score : (N,) float
        Any finite number; higher means more confident.
    label : (N,) int
        Index into `class_names`.
    class_names : tuple of str
        The classes that can be detected.

    Raises
    ------
    PredictionError
        If columns differ in length, an index is out of range, a name occurs twice, a number is
        not finite, or an end lies before its start. The message names video, entry and field.
    """

    video_ids: tuple[str, ...]
    video: NDArray[np.int32]
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    score: NDArray[np.float64]
    label: NDArray[np.int32]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        for field in ("video_ids", "class_names"):
            names = tuple(getattr(self, field))
            object.__setattr__(self, field, names)
            if len(set(names)) != len(names):
                repeated = next(name for index, name in enumerate(names) if name in names[:index])
                raise PredictionError(f"{field}: '{repeated}' occurs twice")
        columns: dict[str, NDArray[Any]] = {
            "video": _index_column("video", self.video, len(self.video_ids)),
            "start_s": np.asarray(self.start_s, np.float64),
            "end_s": np.asarray(self.end_s, np.float64),
            "score": np.asarray(self.score, np.float64),
            "label": _index_column("label", self.label, len(self.class_names)),
        }
        shape = columns["video"].shape
        for field, values in columns.items():
            if values.ndim != 1 or values.shape != shape:
                raise PredictionError(f"{field} has shape {values.shape}, expected {shape[:1]} like video")
        if np.any(columns["video"][1:] < columns["video"][:-1]):
            order = np.argsort(columns["video"], kind="stable")
            columns = {field: values[order] for field, values in columns.items()}
        for field, values in columns.items():
            values = values.view()
            values.flags.writeable = False
            object.__setattr__(self, field, values)
        for field in ("start_s", "end_s", "score"):
            self._refuse(~np.isfinite(columns[field]), field, "a finite number")
        self._refuse(self.end_s < self.start_s, "end_s", "a time not before start_s")

    def _refuse(self, wrong: NDArray[np.bool_], field: str, expected: str) -> None:
        if not wrong.any():
            return
        row = int(np.argmax(wrong))
        entry = row - int(np.searchsorted(self.video, self.video[row]))
        found = f"{getattr(self, field)[row]:.12g}"
        if field == "end_s":
            found += f" (start {self.start_s[row]:.12g})"
        name = {"start_s": "segment[0] (start)", "end_s": "segment[1] (end)"}.get(field, field)
        more = f"; {int(wrong.sum())} entries have this fault" if wrong.sum() > 1 else ""
        place = f"video '{self.video_ids[self.video[row]]}', entry {entry}, {name}"
        raise PredictionError(f"{place}: expected {expected}, found {found}{more}")

    @classmethod
    def from_lists(
        cls,
        rows: Iterable[Detection | tuple[str, float, float, str, float]],
        *,
        video_ids: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Detections:
        """Return detections from (video id, start, end, label, score) rows.

        Parameters
        ----------
        rows : iterable of Detection
            In any order.
        video_ids, class_names : sequence of str, optional
            All names that may occur; by default the sorted names that do.

        Raises
        ------
        PredictionError
            As the class, or if a name is not among those given.
        """
        detections = [Detection(*row) for row in rows]
        videos = _numbered("video", [row.video_id for row in detections], video_ids)
        classes = _numbered("class", [row.label for row in detections], class_names)
        return cls(
            video_ids=tuple(videos),
            video=np.array([videos[row.video_id] for row in detections], np.int32),
            start_s=np.array([row.start_s for row in detections], np.float64),
            end_s=np.array([row.end_s for row in detections], np.float64),
            score=np.array([row.score for row in detections], np.float64),
            label=np.array([classes[row.label] for row in detections], np.int32),
            class_names=tuple(classes),
        )

    @classmethod
    def join(cls, tables: Sequence[Detections]) -> Detections:
        """Return the detections of several tables, each of other videos, as one table; the classes are united."""
        classes = tuple(dict.fromkeys(name for table in tables for name in table.class_names))
        number = {name: index for index, name in enumerate(classes)}
        labels = [np.array([number[name] for name in table.class_names], np.int32)[table.label] for table in tables]
        first = np.cumsum([0, *(len(table.video_ids) for table in tables)])
        return cls(
            video_ids=tuple(video_id for table in tables for video_id in table.video_ids),
            video=np.concatenate([table.video + start for table, start in zip(tables, first, strict=False)]),
            start_s=np.concatenate([table.start_s for table in tables]),
            end_s=np.concatenate([table.end_s for table in tables]),
            score=np.concatenate([table.score for table in tables]),
            label=np.concatenate(labels),
            class_names=classes,
        )

    def __len__(self) -> int:
        return len(self.video)

    def _span(self, video: int) -> slice:
        first, last = np.searchsorted(self.video, (video, video + 1))
        return slice(int(first), int(last))

    def take(self, rows: NDArray[np.bool_]) -> Detections:
        """Return the detections where `rows`, (N,), is true; of the same videos and classes."""
        names = ("video", "start_s", "end_s", "score", "label")
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in names}
        return replace(self, **columns)

    def for_video(self, video_id: str) -> Detections:
        """Return the detections of one video; `PredictionError` if it is not among `video_ids`."""
        if video_id not in self.video_ids:
            raise PredictionError(f"video '{video_id}' is not among the {len(self.video_ids)} predicted videos")
        span = self._span(self.video_ids.index(video_id))
        return Detections(
            video_ids=(video_id,),
            video=np.zeros(span.stop - span.start, np.int32),
            start_s=self.start_s[span],
            end_s=self.end_s[span],
            score=self.score[span],
            label=self.label[span],
            class_names=self.class_names,
        )

    def relabelled(self, labels: Sequence[str], class_names: Iterable[str]) -> Detections:
        """Return the detections with a new label for each class; drop those whose label is not in `class_names`."""
        numbers = {name: number for number, name in enumerate(class_names)}
        label = np.array([numbers.get(name, -1) for name in labels], np.int32)[self.label]
        kept = label >= 0
        return replace(self.take(kept), label=label[kept], class_names=tuple(numbers))

    def rows(self, video_id: str) -> list[Detection]:
        """Return the detections of one video by name: highest score first, then by start, end and label."""
        mine = self.for_video(video_id)
        labels = [self.class_names[label] for label in mine.label.tolist()]
        columns = mine.start_s.tolist(), mine.end_s.tolist(), labels, mine.score.tolist()
        rows = (Detection(video_id, *row) for row in zip(*columns, strict=True))
        return sorted(rows, key=lambda row: (-row.score, row.start_s, row.end_s, row.label))


@dataclass(frozen=True, eq=False)
class DetectionTables:
    """What one model detected in some videos: a table for each vocabulary, and one of their combinations.

    Parameters
    ----------
    by_vocabulary : mapping of str to Detections
        One or several tables, all of the same videos; named "" where the vocabulary's name is not known.
    combined : Detections, optional
        Detections that name one class of every vocabulary: ``take,plate``. Its classes are the combinations that
        were detected.
    """

    by_vocabulary: Mapping[str, Detections]
    combined: Detections | None = None

    @classmethod
    def join(cls, parts: Sequence[DetectionTables]) -> DetectionTables:
        """Return the tables that one model made of several sets of videos as tables of all of them.

        Raises
        ------
        PredictionError
            If two videos have the same id.
        """
        combined = [part.combined for part in parts if part.combined is not None]
        return cls(
            {name: Detections.join([part.by_vocabulary[name] for part in parts]) for name in parts[0].by_vocabulary},
            Detections.join(combined) if combined else None,
        )

    @property
    def named(self) -> dict[str, Detections]:
        """All tables by name; that of combinations is named like its classes: ``verb,noun``."""
        combined = {} if self.combined is None else {JOINT.join(self.by_vocabulary): self.combined}
        return {**self.by_vocabulary, **combined}

    @property
    def shown(self) -> Detections:
        """The one table that people are shown: the combinations, or without them the last vocabulary."""
        return list(self.by_vocabulary.values())[-1] if self.combined is None else self.combined

    def files(self, path: Path) -> dict[Path, Detections]:
        """Return the table that each file holds when all are written.

        A single table goes to `path`. Several go beside it: of ``detections.json``, ``detections-verb.json``,
        ``detections-noun.json`` and, for combinations, ``detections-verb-noun.json``.
        """
        tables = self.named
        if len(tables) == 1:
            (table,) = tables.values()
            return {path: table}
        # The checkpoint may come from elsewhere: its names must not lead to another folder.
        names = {re.sub(r"[^\w.-]", "-", name): table for name, table in tables.items()}
        return {path.with_name(f"{path.stem}-{name}{path.suffix}"): table for name, table in names.items()}


def _index_column(field: str, values: ArrayLike, count: int) -> NDArray[np.int32]:
    column = np.asarray(values)
    if column.size and not np.issubdtype(column.dtype, np.integer):
        raise PredictionError(f"{field} has dtype {column.dtype}, expected whole numbers")
    if column.size and not (column.min() >= 0 and column.max() < count):
        raise PredictionError(f"{field} has values in [{column.min()}, {column.max()}], expected [0, {count})")
    return column.astype(np.int32, copy=False)


def _numbered(kind: str, occurring: list[str], given: Sequence[str] | None) -> dict[str, int]:
    numbers = {name: number for number, name in enumerate(sorted(set(occurring)) if given is None else given)}
    for name in occurring:
        if name not in numbers:
            raise PredictionError(f"{kind} '{name}' is not among the {len(numbers)} given")
    return numbers
