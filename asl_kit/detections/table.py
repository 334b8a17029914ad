"""Detections of many videos as columns of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_kit.errors import PredictionError

JOINT = ","
"""Between the names of classes, and of their vocabularies, where one detection names several: `take,plate`."""
MIN_SCORE = 0.3
"""The least score of what people are shown, if nobody says otherwise."""


class Detection(NamedTuple):
    """One detection, in names: what `Detections.from_lists` takes and `Detections.rows` gives."""

    video_id: str
    start_s: float
    end_s: float
    label: str
    score: float


@dataclass(frozen=True, eq=False)
class Detections:
    """Detections of many videos, as read-only columns of equal length (N,).

    Rows are kept video by video, in the order of `video_ids`; within a video they stay as
    given. Millions of rows are fine: each takes 32 bytes.

    Parameters
    ----------
    video_ids : tuple of str
        All videos that were looked at, also those where nothing was found.
    video : (N,) int
        Index into `video_ids`.
    start_s, end_s : (N,) float
        The half-open interval [start_s, end_s), in seconds.
    score : (N,) float
        Any finite number; a higher one is surer.
    label : (N,) int
        Index into `class_names`.
    class_names : tuple of str
        The classes that could be found.

    Raises
    ------
    PredictionError
        If columns differ in length, an index is out of range, a name occurs twice, a number is
        not finite, or an end lies before its start. Names video, entry and field.
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
            All names that may occur. By default the names that do, sorted.

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

    def __len__(self) -> int:
        return len(self.video)

    def _span(self, video: int) -> slice:
        first, last = np.searchsorted(self.video, (video, video + 1))
        return slice(int(first), int(last))

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
        """Return the detections with another label for each class; those with none of `class_names` are left out."""
        numbers = {name: number for number, name in enumerate(class_names)}
        label = np.array([numbers.get(name, -1) for name in labels], np.int32)[self.label]
        kept = label >= 0
        columns: dict[str, Any] = {name: getattr(self, name)[kept] for name in ("video", "start_s", "end_s", "score")}
        return replace(self, **columns, label=label[kept], class_names=tuple(numbers))

    def rows(self, video_id: str) -> list[Detection]:
        """Return one video's detections in names: highest score first, then by start, end and label."""
        mine = self.for_video(video_id)
        labels = [self.class_names[label] for label in mine.label.tolist()]
        columns = mine.start_s.tolist(), mine.end_s.tolist(), labels, mine.score.tolist()
        rows = (Detection(video_id, *row) for row in zip(*columns, strict=True))
        return sorted(rows, key=lambda row: (-row.score, row.start_s, row.end_s, row.label))


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
