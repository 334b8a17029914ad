"""What a user states about the features to import."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from asl_kit.errors import UsageError
from asl_kit.feature_import.presets import get_preset
from asl_kit.feature_import.timing import Timing
from asl_kit.manifests.schema import FeatureSet
from asl_kit.store.spec import MAX_WINDOW_FRAMES


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """How the features were made and how their files are named; the options of `asl-kit import-features`."""

    preset: str | None = None
    """``DATASET/NAME``: a published feature set that a manifest describes. It replaces timing, dimension and name."""
    window_frames: int | None = None
    """Frames that one feature covers."""
    stride_frames: int | None = None
    """Frames from one feature to the next."""
    fps: float | None = None
    """Frame rate of these frames; None: the rate of each video in the annotations."""
    offset_s: float | None = None
    """Time at which the first window starts, in seconds; None: 0."""
    resized: bool = False
    """Whether the features of each video were resized to a fixed length, so that they span the whole video."""
    dimension: int | None = None
    """D, values per feature; None: inferred from the files."""
    layout: str | None = None
    """`time-first` or `channels-first`: (T, D) or (D, T); None: inferred from the files."""
    prefix: str | None = None
    """Text before the video id in file names."""
    suffix: str | None = None
    """Text between the video id and the extension in file names."""
    key: str | None = None
    """Name of the array in files that hold several."""
    name: str | None = None
    """Name of these features in the store's spec."""
    dtype: str = "float16"
    """`float16` or `float32`: type of the stored features."""

    def resolve(self) -> tuple[ImportSettings, Timing]:
        """Return the settings with the values of the preset filled in, and the timing.

        Raises
        ------
        UsageError
            If something is missing, contradictory or out of range, or there is no such preset.
        """
        if self.preset is None:
            return self, self._timing()
        preset = get_preset(self.preset)
        self._refuse_stated_by(preset)
        timing = Timing.of(preset if self.fps is None else preset.model_copy(update={"fps": self.fps}))
        prefix, suffix = self.prefix or preset.prefix, self.suffix or preset.suffix
        return replace(self, dimension=preset.dimensions, prefix=prefix, suffix=suffix, name=self.preset), timing

    def _refuse_stated_by(self, preset: FeatureSet) -> None:
        options = {
            "--window": self.window_frames,
            "--stride": self.stride_frames,
            "--fps": self.fps if preset.fps is not None or preset.resized_to is not None else None,
            "--offset-s": self.offset_s,
            "--resized": self.resized or None,
            "--dim": self.dimension,
            "--prefix": self.prefix if preset.prefix else None,
            "--suffix": self.suffix if preset.suffix else None,
            "--name": self.name,
        }
        given = [option for option, value in options.items() if value is not None]
        if given:
            raise UsageError(
                f"--preset {self.preset} already states this: leave out {', '.join(given)}",
                hint="`asl-kit import-features --list-presets` shows what it states; or give all options and no preset",
            )

    def _timing(self) -> Timing:
        window_frames, stride_frames, fps, offset_s = self.window_frames, self.stride_frames, self.fps, self.offset_s
        if self.resized:
            given = {"--window": window_frames, "--stride": stride_frames, "--fps": fps, "--offset-s": offset_s}
            for option, value in given.items():
                if value is not None:
                    raise UsageError(f"--resized takes the grid from each video's duration: leave out {option}")
            return Timing(resized=True)
        if window_frames is None or stride_frames is None:
            missing = [name for name, value in (("window", window_frames), ("stride", stride_frames)) if value is None]
            raise UsageError(
                f"the timing of the features is not known: --{' and --'.join(missing)} missing",
                hint="give --window, --stride and --fps in frames of the extraction, or a --preset,"
                " or --resized for features of a fixed length",
            )
        if not (1 <= window_frames <= MAX_WINDOW_FRAMES and 1 <= stride_frames <= MAX_WINDOW_FRAMES):
            raise UsageError(
                f"--window and --stride are {window_frames} and {stride_frames}, expected 1 or more,"
                f" at most {MAX_WINDOW_FRAMES}"
            )
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise UsageError(f"--fps is {fps}, expected a number above 0")
        if offset_s is not None and not math.isfinite(offset_s):
            raise UsageError(f"--offset-s is {offset_s}, expected a finite number")
        return Timing(window_frames, stride_frames, fps, offset_s or 0.0)
