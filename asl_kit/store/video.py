"""What a store knows of one video beside its features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from asl_kit.grid import FeatureGrid
from asl_kit.store.arrays import StoredArray


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A stored video.

    Parameters
    ----------
    video_id : str
        Its id.
    grid : FeatureGrid
        Where in time its features lie.
    duration_s : float
        Length of the source video, in seconds; 0 or more.
    fps : float or None
        Frame rate of the source video, above 0; None: not known, as of imported features.
    frames : int or None
        Frames in the source video, 0 or more; None: not known.
    crc32c : str
        CRC-32C of the (T, D) values, row by row, little-endian; in hexadecimal.
    dtype : str
        Of the stored values.
    shape : tuple of int
        (T, D).

    Raises
    ------
    ValueError
        If a value is not finite or out of range.
    """

    video_id: str
    grid: FeatureGrid
    duration_s: float
    fps: float | None
    frames: int | None
    crc32c: str
    dtype: str
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration_s) and self.duration_s >= 0):
            raise ValueError(f"duration_s must be a finite number of 0 or more, got {self.duration_s}")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps must be a finite number above 0, got {self.fps}")
        if self.frames is not None and self.frames < 0:
            raise ValueError(f"frames must be 0 or more, got {self.frames}")

    @classmethod
    def of(cls, array: StoredArray) -> VideoInfo:
        """Read an array's attributes.

        Raises
        ------
        ValueError
            If one is missing or wrong.
        """
        fields = array.attributes
        try:
            return cls(
                video_id=str(fields["video_id"]),
                grid=FeatureGrid.from_json(fields["grid"]),
                duration_s=float(fields["duration_s"]),
                fps=None if fields["fps"] is None else float(fields["fps"]),
                frames=None if fields["frames"] is None else int(fields["frames"]),
                crc32c=str(fields["crc32c"]),
                dtype=array.dtype,
                shape=array.shape,
            )
        except KeyError as fault:
            raise ValueError(f"attribute {fault} is missing") from fault
        except (TypeError, OverflowError) as fault:
            raise ValueError(f"attributes are of the wrong type: {fault}") from fault

    def attributes(self) -> dict[str, Any]:
        """Return the array attributes that `of` reads."""
        return {
            "video_id": self.video_id,
            "grid": self.grid.to_json(),
            "duration_s": self.duration_s,
            "fps": self.fps,
            "frames": self.frames,
            "crc32c": self.crc32c,
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return self.attributes() | {"dtype": self.dtype, "shape": list(self.shape)}
