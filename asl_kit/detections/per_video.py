"""What a model has found in one video, with the facts of its file; and many of them as the tables that are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl_kit.detections.table import Detection, Detections
from asl_kit.errors import UsageError


@dataclass(frozen=True, eq=False)
class VideoDetections:
    """What a model has found in one video.

    Parameters
    ----------
    video_id : str
        Of the video in `tables`: its file's name without the suffix.
    path : Path
        The video file.
    duration_s : float
        Length of the video: its frames divided by its frame rate.
    fps : float
        Frame rate of the video file, the average where it varies.
    frames : int
        Frames in the video file.
    tables : mapping of str to Detections
        Of this video alone, by vocabulary; combinations of classes are a table more: see
        `asl_kit.inference.detect.to_detections`.
    """

    video_id: str
    path: Path
    duration_s: float
    fps: float
    frames: int
    tables: Mapping[str, Detections]

    def rows(self, vocabulary: str | None = None) -> list[Detection]:
        """Return the detections in names: highest score first.

        Parameters
        ----------
        vocabulary : str, optional
            A key of `tables`; needed where there are several.

        Raises
        ------
        UsageError
            If there is no such vocabulary, or none is named and there are several.
        """
        names = list(self.tables)
        if vocabulary is None and len(names) == 1:
            vocabulary = names[0]
        if vocabulary is None or vocabulary not in self.tables:
            raise UsageError(
                "which vocabulary? There are several" if vocabulary is None else f"no vocabulary {vocabulary!r}",
                hint=f"the model's are: {', '.join(map(repr, names))}",
            )
        return self.tables[vocabulary].rows(self.video_id)


def join_tables(videos: Sequence[VideoDetections]) -> dict[str, Detections]:
    """Return the detections of many videos, found by one model, as one table for each vocabulary.

    Raises
    ------
    PredictionError
        If two videos have the same id.
    """
    names = list(videos[0].tables) if videos else []
    return {name: _join([video.tables[name] for video in videos]) for name in names}


def _join(tables: Sequence[Detections]) -> Detections:
    """Return tables of one video each as one table."""
    # Those of combinations know the classes that were found only.
    classes = tuple(dict.fromkeys(name for table in tables for name in table.class_names))
    number = {name: index for index, name in enumerate(classes)}
    labels = [np.array([number[name] for name in table.class_names], np.int32)[table.label] for table in tables]
    return Detections(
        video_ids=tuple(video_id for table in tables for video_id in table.video_ids),
        video=np.repeat(np.arange(len(tables), dtype=np.int32), [len(table) for table in tables]),
        start_s=np.concatenate([table.start_s for table in tables]),
        end_s=np.concatenate([table.end_s for table in tables]),
        score=np.concatenate([table.score for table in tables]),
        label=np.concatenate(labels),
        class_names=classes,
    )
