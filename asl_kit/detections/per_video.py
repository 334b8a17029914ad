"""What a model detected in one video, with the facts of the video file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asl_kit.detections.table import Detection, DetectionTables
from asl_kit.errors import UsageError
from asl_kit.remote.address import Address


@dataclass(frozen=True, eq=False)
class VideoDetections:
    """What a model detected in one video.

    Parameters
    ----------
    video_id : str
        Names the video in `tables`: the name of its file without the suffix.
    path : Path or Address
        The video file.
    duration_s : float
        Length of the video: its frames divided by its frame rate.
    fps : float
        Frame rate of the video file; the average if it varies.
    frames : int
        Frames in the video file.
    tables : DetectionTables
        The detections of this video.
    """

    video_id: str
    path: Path | Address
    duration_s: float
    fps: float
    frames: int
    tables: DetectionTables

    def rows(self, vocabulary: str | None = None) -> list[Detection]:
        """Return the detections by name: highest score first.

        Parameters
        ----------
        vocabulary : str, optional
            A key of `tables.named`; required if there are several.

        Raises
        ------
        UsageError
            If there is no such vocabulary, or none is named and there are several.
        """
        named = self.tables.named
        if vocabulary is None and len(named) == 1:
            (vocabulary,) = named
        if vocabulary is None or vocabulary not in named:
            raise UsageError(
                "which vocabulary? There are several" if vocabulary is None else f"no vocabulary {vocabulary!r}",
                hint=f"the model's are: {', '.join(map(repr, named))}",
            )
        return named[vocabulary].rows(self.video_id)
