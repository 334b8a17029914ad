"""A backbone, a decoder and all the settings between them, ready to turn videos into features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from asl_extract.backbones import get_backbone
from asl_extract.backbones.spec import BackboneSpec
from asl_extract.decoders import get_decoder
from asl_extract.frames import FramePreparer, ResizeRule
from asl_extract.pipeline import FrameCount, extract_features
from asl_extract.plan import ClipPlan
from asl_extract.weights import DEFAULT, RANDOM, LoadedBackbone, load_backbone
from asl_kit.device import PRECISIONS, choose_device, default_precision
from asl_kit.errors import AslKitError, SpecConflictError, UsageError, VideoError
from asl_kit.extraction_spec import ExtractionSpec
from asl_kit.grid import FeatureGrid

MIN_FRAME_SIZE = 32
_FRAMES_PER_BATCH = {"cpu": 128, "cuda": 1024}


@dataclass(frozen=True)
class ExtractedVideo:
    """A video's features.

    Parameters
    ----------
    features : ndarray
        float32, one row a clip: (T, D).
    grid : FeatureGrid
        Where in time the features lie; T long.
    duration_s : float
        Length of the video: its frames divided by its frame rate.
    fps : float
        Frame rate of the video file.
    frames : int
        Frames in the video file.
    """

    features: NDArray[np.float32]
    grid: FeatureGrid
    duration_s: float
    fps: float
    frames: int


class Extractor:
    """Turns videos into features, all in the one way that `spec` records. Make it with `create` or `from_spec`.

    Attributes
    ----------
    spec : ExtractionSpec
        All that decides a feature's value, given the video.
    count : FrameCount
        Frames worked on so far, over all videos.
    """

    def __init__(
        self,
        *,
        spec: ExtractionSpec,
        loaded: LoadedBackbone,
        resize: ResizeRule,
        device: torch.device,
        batch_size: int | None = None,
        decoder_threads: int = 1,
    ) -> None:
        self.spec = spec
        self.count = FrameCount()
        self._decoder = get_decoder(spec.decoder.partition(" ")[0])
        self._decoder_threads = decoder_threads
        self._backbone = loaded.backbone.to(device)
        self._prepare = FramePreparer(rule=resize, mean=spec.mean, std=spec.std, device=device)
        self.batch_size = batch_size or max(1, _FRAMES_PER_BATCH[device.type] // spec.clip_frames)

    @classmethod
    def create(
        cls,
        *,
        backbone: str,
        weights: str = DEFAULT,
        window_frames: int | None = None,
        stride_frames: int | None = None,
        fps: float | None = None,
        frame_size: int | None = None,
        precision: str | None = None,
        device: str = "auto",
        decoder: str = "decord",
        batch_size: int | None = None,
        decoder_threads: int = 1,
    ) -> Extractor:
        """Return an extractor for the given settings; None takes the backbone's, or the device's, default.

        Parameters
        ----------
        backbone : str
            A name in `asl_extract.backbones.BACKBONES`.
        weights : str
            ``default``, ``random`` or the path of a state dict; see `load_backbone`.
        window_frames, stride_frames : int, optional
            Frames that a feature looks at, and frames from one feature to the next.
        fps : float, optional
            Frame rate that videos are resampled to; None: each video's own.
        frame_size : int, optional
            Height and width of the backbone's input, in pixels.
        precision : {'float32', 'float16', 'bfloat16'}, optional
            Arithmetic of the backbone; by default float32 on a CPU, half precision on a GPU.
        device : str
            ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        decoder : str
            A name in `asl_extract.decoders.DECODERS`.
        batch_size : int, optional
            Clips per forward pass.
        decoder_threads : int
            Threads that the decoder may use; 0: as many as there are cores.

        Raises
        ------
        UsageError, MissingDependencyError, MissingFileError, CheckpointError
            If a setting is wrong or cannot be had.
        """
        which = get_backbone(backbone)
        on = choose_device(device)
        window_frames = which.window_frames if window_frames is None else window_frames
        stride_frames = which.stride_frames if stride_frames is None else stride_frames
        precision = default_precision(on) if precision is None else precision
        frame_size = which.frame_size if frame_size is None else frame_size
        _check_numbers(which, window_frames, stride_frames, fps, frame_size, precision, batch_size)
        decoder_version = get_decoder(decoder).version()
        loaded = load_backbone(which, weights=weights, frame_size=frame_size)
        resize = which.resize.scaled_to(frame_size)
        spec = ExtractionSpec(
            backbone=which.name,
            weights=loaded.weights,
            weights_sha256=loaded.weights_sha256,
            feature_dim=which.feature_dim,
            window_frames=window_frames,
            stride_frames=stride_frames,
            fps=fps,
            clip_frames=window_frames if which.whole_window else which.clip_frames,
            resize=resize.describe(),
            frame_size=frame_size,
            mean=which.mean,
            std=which.std,
            precision=precision,
            decoder=decoder_version,
        )
        return cls(
            spec=spec,
            loaded=loaded,
            resize=resize,
            device=on,
            batch_size=batch_size,
            decoder_threads=decoder_threads,
        )

    @classmethod
    def from_spec(
        cls,
        spec: ExtractionSpec,
        *,
        weights: str | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        decoder_threads: int = 1,
    ) -> Extractor:
        """Return the extractor that a store's or a checkpoint's spec describes.

        Parameters
        ----------
        spec : ExtractionSpec
            What to rebuild.
        weights : str, optional
            Where the weights are; needed if they came from a file, and checked by their SHA-256.
        device, batch_size, decoder_threads
            As in `create`; they do not belong to the spec.

        Raises
        ------
        SpecConflictError
            If features would be made in another way than the spec says: other weights, another
            version of the decoder, another rule of this version of asl-kit.
        """
        if spec.backbone == "imported":
            raise SpecConflictError(
                "these features were imported: how to extract them from a video is not known",
                hint="predict from features made by the same tool, or train on features that asl-kit extracted",
            )
        which = get_backbone(spec.backbone)
        if weights is None:
            if spec.weights == RANDOM:
                weights = RANDOM
            elif spec.weights == which.published.name:
                weights = DEFAULT
            else:
                raise SpecConflictError(
                    f"features were made with the weights file {spec.weights!r}, which was not given",
                    hint=f"pass the file with SHA-256 (over its tensors) {spec.weights_sha256} by --weights FILE",
                )
        extractor = cls.create(
            backbone=spec.backbone,
            weights=weights,
            window_frames=spec.window_frames,
            stride_frames=spec.stride_frames,
            fps=spec.fps,
            frame_size=spec.frame_size,
            precision=spec.precision,
            device=device,
            decoder=spec.decoder.partition(" ")[0],
            batch_size=batch_size,
            decoder_threads=decoder_threads,
        )
        # The same tensors under another file name are the same weights.
        differences = spec.differences(extractor.spec.model_copy(update={"weights": spec.weights}))
        if differences:
            lines = "\n  ".join(differences)
            raise SpecConflictError(f"features cannot be made as recorded (the record against here):\n  {lines}")
        extractor.spec = spec
        return extractor

    def extract(self, video: Path, *, on_frames: Callable[[int, int], None] | None = None) -> ExtractedVideo:
        """Return the features of one video file.

        Parameters
        ----------
        video : Path
            The video file.
        on_frames : callable, optional
            Called with (frames just decoded, frames in the file) as the work goes on.

        Raises
        ------
        MissingFileError, VideoError
            If the file is not there, or cannot be decoded wholly.
        """
        spec = self.spec
        try:
            reader = self._decoder.open_reader(video, threads=self._decoder_threads)
            try:
                total = reader.frame_count
                plan = ClipPlan(
                    frame_count=total,
                    fps=reader.fps,
                    window_frames=spec.window_frames,
                    stride_frames=spec.stride_frames,
                    clip_frames=spec.clip_frames,
                    resample_fps=spec.fps,
                    display_s=reader.display_s,
                )
                features = extract_features(
                    reader,
                    plan=plan,
                    prepare=self._prepare,
                    backbone=self._backbone,
                    precision=spec.precision,
                    batch_size=self.batch_size,
                    count=self.count,
                    on_frames=None if on_frames is None else lambda frames: on_frames(frames, total),
                )
            finally:
                reader.close()
        except torch.OutOfMemoryError as fault:
            raise AslKitError(
                f"{video}: the device has too little memory for {self.batch_size} clips at once",
                hint=f"use a smaller --batch-size than {self.batch_size}",
            ) from fault
        except (UnicodeError, ValueError, OverflowError) as fault:
            if isinstance(fault, AslKitError):
                raise
            raise VideoError(f"{video}: cannot be read: {fault}") from fault
        return ExtractedVideo(
            features=features,
            grid=plan.grid,
            duration_s=plan.frame_count / plan.fps,
            fps=plan.fps,
            frames=plan.frame_count,
        )


def extract_one(
    video: Path, spec: ExtractionSpec, *, device: str = "auto", weights: str | None = None
) -> ExtractedVideo:
    """Return the features of one video, made exactly as `spec` says.

    For several videos make one ``Extractor.from_spec`` and call its ``extract``:
    the backbone is then built once.

    Raises
    ------
    SpecConflictError
        If features cannot be made as the spec says: see `Extractor.from_spec`.
    MissingFileError, VideoError
        If the file is not there, or cannot be decoded wholly.
    """
    return Extractor.from_spec(spec, device=device, weights=weights).extract(video)


def _check_numbers(
    which: BackboneSpec,
    window_frames: int,
    stride_frames: int,
    fps: float | None,
    frame_size: int,
    precision: str,
    batch_size: int | None,
) -> None:
    for name, value in (("window", window_frames), ("stride", stride_frames), ("batch size", batch_size)):
        if value is not None and value < 1:
            raise UsageError(f"{name} must be 1 or more, got {value}")
    if fps is not None and not 0 < fps < 1000:
        raise UsageError(f"fps must be above 0 and below 1000, got {fps:g}")
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}", hint=f"precisions: {', '.join(PRECISIONS)}")
    if frame_size < MIN_FRAME_SIZE:
        raise UsageError(f"frame size must be {MIN_FRAME_SIZE} pixels or more, got {frame_size}")
    if which.fixed_size and frame_size != which.frame_size:
        raise UsageError(f"{which.name} takes frames of {which.frame_size} pixels only, got {frame_size}")
