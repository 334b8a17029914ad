"""The metadata that a store keeps of each video."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from asl_kit.grid import FeatureGrid
from asl_kit.store.arrays import StoredArray
from asl_kit.store.identity import FileIdentity


@dataclass(frozen=True, slots=True)
class SourceVideo:
    """A video whose features are to be stored."""

    video_id: str
    """Any text; see `encode_id`."""
    grid: FeatureGrid
    """Where in time its features lie."""
    duration_s: float
    """Length of the video in seconds; 0 or more."""
    fps: float | None
    """Frame rate of the video, above 0; None: not known, as for imported features."""
    frames: int | None
    """Number of frames of the video, 0 or more; None: not known."""
    source: FileIdentity | None = field(default=None, kw_only=True)
    """The file that the features were made from; None: not recorded, as in stores of earlier versions."""
    image_decoder: str | None = field(default=None, kw_only=True)
    """What decoded frames that are images: `torchvision 0.21.0`; None: a video file, decoded as the spec says."""

    def attributes(self) -> dict[str, Any]:
        """Return the fields, JSON-ready; without `source` and `image_decoder` if there is none."""
        return {
            "video_id": self.video_id,
            "grid": self.grid.to_json(),
            "duration_s": self.duration_s,
            "fps": self.fps,
            "frames": self.frames,
            **({} if self.source is None else {"source": self.source.to_json()}),
            **({} if self.image_decoder is None else {"image_decoder": self.image_decoder}),
        }


@dataclass(frozen=True, slots=True)
class VideoInfo(SourceVideo):
    """A stored video.

    Raises
    ------
    ValueError
        If a value is not finite or out of range.
    """

    crc32c: str
    """CRC-32C of the (T, D) values, row by row, little-endian; in hexadecimal."""
    dtype: str
    """Type of the stored values."""
    shape: tuple[int, int]
    """(T, D)."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.duration_s) and self.duration_s >= 0):
            raise ValueError(f"duration_s must be a finite number of 0 or more, got {self.duration_s}")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps must be a finite number above 0, got {self.fps}")
        if self.frames is not None and self.frames < 0:
            raise ValueError(f"frames must be 0 or more, got {self.frames}")

    @classmethod
    def of(cls, array: StoredArray) -> VideoInfo:
        """Return the metadata of an array.

        Raises
        ------
        ValueError
            If an attribute is missing or wrong.
        """
        return cls.from_attributes(array.attributes, dtype=array.dtype, shape=array.shape)

    @classmethod
    def from_attributes(cls, fields: dict[str, Any], *, dtype: str, shape: tuple[int, int]) -> VideoInfo:
        """Return the metadata for the attributes of an array; NumPy's numbers become Python's. Raises as `of`."""
        try:
            return cls(
                video_id=str(fields["video_id"]),
                grid=FeatureGrid.from_json(fields["grid"]),
                duration_s=float(fields["duration_s"]),
                fps=None if fields["fps"] is None else float(fields["fps"]),
                frames=None if fields["frames"] is None else int(fields["frames"]),
                crc32c=str(fields["crc32c"]),
                dtype=dtype,
                shape=shape,
                source=FileIdentity.from_json(fields["source"]) if "source" in fields else None,
                image_decoder=str(fields["image_decoder"]) if "image_decoder" in fields else None,
            )
        except KeyError as fault:
            raise ValueError(f"attribute {fault} is missing") from fault
        except (TypeError, OverflowError) as fault:
            raise ValueError(f"attributes are of the wrong type: {fault}") from fault

    def attributes(self) -> dict[str, Any]:
        """Return the array attributes that `of` reads."""
        return SourceVideo.attributes(self) | {"crc32c": self.crc32c}

    def to_json(self) -> dict[str, Any]:
        """Return all fields, JSON-ready."""
        return self.attributes() | {"dtype": self.dtype, "shape": list(self.shape)}
