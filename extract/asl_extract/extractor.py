"""A backbone, a decoder and all the settings between them, ready to turn videos into features."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from asl_extract.backbones import get_backbone
from asl_extract.backbones.spec import BackboneSpec
from asl_extract.backbones.weights import DEFAULT, RANDOM, LoadedBackbone, load_backbone
from asl_extract.decoders import DEFAULT_DECODER, check_decoder, get_decoder
from asl_extract.decoding.events import DecodeSettings, decode_here
from asl_extract.decoding.workers import decode_in_workers
from asl_extract.flow.preparation import FLOW_METHODS, FlowPreparer, get_flow_method, published_weights
from asl_extract.frames import FramePreparer, Preparer
from asl_extract.pipeline import FeaturePipeline, FrameCount
from asl_kit.errors import AslKitError, SpecConflictError, UsageError
from asl_kit.grid import FeatureGrid
from asl_kit.store.spec import MAX_FRAME_SIZE, MAX_WINDOW_FRAMES, ExtractionSpec
from asl_kit.torch_utils.device import PRECISIONS, choose_device, default_precision, pin_memory

MIN_FRAME_SIZE = 32
_FRAMES_PER_BATCH = {"cpu": 32, "cuda": 1024}  # more would only take more memory on a CPU


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
    note : str
        What a user should know of how they were made; see `ClipPlan.note`.
    """

    features: NDArray[np.float32]
    grid: FeatureGrid
    duration_s: float
    fps: float
    frames: int
    note: str = ""


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
        prepare: Preparer,
        device: torch.device,
        batch_size: int | None = None,
        decoder_threads: int = 1,
    ) -> None:
        self.spec = spec
        self.count = FrameCount()
        self._decoder_threads = decoder_threads
        self._backbone = loaded.backbone.to(device)
        self._prepare = prepare
        self.batch_size = batch_size or max(1, _FRAMES_PER_BATCH[device.type] // spec.clip_frames)

    @property
    def device(self) -> torch.device:
        """Where the backbone computes."""
        return self._prepare.device

    @property
    def decoder(self) -> str:
        """Name of the decoder, in `asl_extract.decoders.DECODERS`."""
        return self.spec.decoder.partition(" ")[0]

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
        flow: str = "",
        flow_weights: str = DEFAULT,
        precision: str | None = None,
        device: str = "auto",
        decoder: str = DEFAULT_DECODER,
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
        flow : str
            A name in `asl_extract.flow.preparation.FLOW_METHODS` for a backbone that looks at optical flow; else empty.
        flow_weights : str
            ``default``, ``random`` or the path of a state dict: weights of the flow's method.
        precision : {'float32', 'float16', 'bfloat16'}, optional
            Arithmetic of the backbone; by default float32 on a CPU, half precision on a GPU.
        device : str
            ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        decoder : str
            A name in `asl_extract.decoders.DECODERS`, such as ``pyav``.
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
        _check_flow(which, flow, flow_weights)
        _check_numbers(which, window_frames, stride_frames, fps, frame_size, precision, batch_size)
        decoder_version = get_decoder(decoder).version()
        loaded = load_backbone(which, weights=weights, frame_size=frame_size)
        resize = which.resize.scaled_to(frame_size)
        method = get_flow_method(flow, weights=flow_weights, device=on) if flow else None
        prepare: Preparer
        if method is None:
            prepare = FramePreparer(rule=resize, mean=which.mean, std=which.std, device=on)
        else:
            prepare = FlowPreparer(rule=resize, mean=which.mean, std=which.std, method=method, device=on)
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
            flow="" if method is None else method.description,
            flow_weights="" if method is None else method.weights,
            flow_weights_sha256=None if method is None else method.weights_sha256,
            precision=precision,
            decoder=decoder_version,
        )
        return cls(
            spec=spec,
            loaded=loaded,
            prepare=prepare,
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
        flow_weights: str | None = None,
        device: str = "auto",
        decoder: str | None = None,
        batch_size: int | None = None,
        decoder_threads: int = 1,
    ) -> Extractor:
        """Return the extractor that a store's or a checkpoint's spec describes.

        Parameters
        ----------
        spec : ExtractionSpec
            What to rebuild.
        weights, flow_weights : str, optional
            Where the weights are; needed if they came from a file, and checked by their SHA-256.
        device : str
            As in `create`.
        decoder : str, optional
            A decoder in place of the recorded one; colours may differ by a little.
        batch_size, decoder_threads
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
            weights = _weights_again(spec.weights, which.published.name, spec.weights_sha256, option="--weights")
        flow = spec.flow.partition(",")[0]
        if flow and flow_weights is None:
            flow_weights = _weights_again(
                spec.flow_weights, published_weights(flow), spec.flow_weights_sha256, option="--flow-weights"
            )
        extractor = cls.create(
            backbone=spec.backbone,
            weights=weights,
            window_frames=spec.window_frames,
            stride_frames=spec.stride_frames,
            fps=spec.fps,
            frame_size=spec.frame_size,
            flow=flow,
            flow_weights=flow_weights if flow and flow_weights is not None else DEFAULT,
            precision=spec.precision,
            device=device,
            decoder=spec.decoder.partition(" ")[0] if decoder is None else decoder,
            batch_size=batch_size,
            decoder_threads=decoder_threads,
        )
        # The same tensors under another file name are the same weights.
        expected = spec if decoder is None else spec.model_copy(update={"decoder": extractor.spec.decoder})
        same_names = {"weights": spec.weights, "flow_weights": spec.flow_weights}
        differences = expected.differences(extractor.spec.model_copy(update=same_names))
        if differences:
            lines = "\n  ".join(differences)
            raise SpecConflictError(f"features cannot be made as recorded (the record against here):\n  {lines}")
        extractor.spec = expected
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
        results = self.extract_all(
            [("", video)],
            on_frames=None if on_frames is None else lambda _, frames, total: on_frames(frames, total),
        )
        with closing(results):
            for _, result in results:
                if isinstance(result, AslKitError):
                    raise result
                return result
        raise AssertionError("a video has come to neither features nor an error")

    def extract_all(
        self,
        videos: Iterable[tuple[str, Path]],
        *,
        workers: int = 0,
        time_limit_s: float | None = None,
        folder: Path | None = None,
        on_frames: Callable[[str, int, int], None] | None = None,
    ) -> Generator[tuple[str, ExtractedVideo | AslKitError], None, None]:
        """Yield the features of many videos, or why there are none, each as soon as it is known.

        Close the generator to end all workers.

        Parameters
        ----------
        videos : iterable of (str, Path)
            Ids, each once, and files; taken one by one as they are decoded.
        workers : int
            Processes that decode; 0: this one does.
        time_limit_s : float, optional
            Give a video up when its decoder delivers nothing for so long. This process can only
            do so between frames, workers always.
        folder : Path, optional
            Where the features of long videos are kept until they are complete.
        on_frames : callable, optional
            Called with (id, frames just decoded, frames in the file) as the work goes on.

        Raises
        ------
        UsageError
            If the decoder decodes on a GPU, and this is none, or there are to be workers.
        AslKitError
            If the device has too little memory, workers cannot be started, or the disk is full.
        """
        check_decoder(self.decoder, device=str(self.device), workers=workers)
        settings = DecodeSettings(
            decoder=self.decoder,
            threads=self._decoder_threads,
            window_frames=self.spec.window_frames,
            stride_frames=self.spec.stride_frames,
            clip_frames=self.spec.clip_frames,
            resample_fps=self.spec.fps,
            every_frame=bool(self.spec.flow),
            device=str(self.device),
        )
        pipeline = FeaturePipeline(
            backbone=self._backbone,
            prepare=self._prepare,
            precision=self.spec.precision,
            batch_size=self.batch_size,
            count=self.count,
            folder=folder,
            on_frames=on_frames,
        )
        events = (
            decode_in_workers(
                videos, settings, workers=workers, time_limit_s=time_limit_s, pin=pin_memory(self._prepare.device)
            )
            if workers
            else decode_here(videos, settings, time_limit_s=time_limit_s)
        )
        with closing(events):
            for video_id, result in pipeline.run(events):
                if isinstance(result, AslKitError):
                    yield video_id, result
                    continue
                plan = result.plan
                yield (
                    video_id,
                    ExtractedVideo(
                        features=result.features,
                        grid=plan.grid,
                        duration_s=plan.frame_count / plan.fps,
                        fps=plan.fps,
                        frames=plan.frame_count,
                        note=plan.note,
                    ),
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


def _weights_again(recorded: str, published: str, sha256: str | None, *, option: str) -> str:
    """Return the weights to ask for, so that the recorded ones come."""
    if recorded == RANDOM:
        return RANDOM
    if recorded == published:
        return DEFAULT
    raise SpecConflictError(
        f"features were made with the weights file {recorded!r}, which was not given",
        hint=f"pass the file with SHA-256 (over its tensors) {sha256} by {option} FILE",
    )


def _check_flow(which: BackboneSpec, flow: str, flow_weights: str) -> None:
    methods = ", ".join(FLOW_METHODS)
    if which.frames == "flow" and not flow:
        raise UsageError(
            f"{which.name} looks at optical flow, and no method was named that computes it",
            hint=f"pass --flow METHOD, one of: {methods}",
        )
    if which.frames != "flow" and flow:
        raise UsageError(
            f"{which.name} looks at the video's own frames, not at optical flow, got --flow {flow}",
            hint="leave --flow out, or take a backbone of flow: i3d_flow",
        )
    if not flow and flow_weights != DEFAULT:
        raise UsageError(f"--flow-weights {flow_weights} is given without --flow")


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
        if value is not None and value > MAX_WINDOW_FRAMES:
            raise UsageError(f"{name} must be at most {MAX_WINDOW_FRAMES}, got {value}")
    if fps is not None and not 0 < fps < 1000:
        raise UsageError(f"fps must be above 0 and below 1000, got {fps:g}")
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}", hint=f"precisions: {', '.join(PRECISIONS)}")
    if frame_size < MIN_FRAME_SIZE:
        raise UsageError(f"frame size must be {MIN_FRAME_SIZE} pixels or more, got {frame_size}")
    if frame_size > MAX_FRAME_SIZE:
        raise UsageError(f"frame size must be {MAX_FRAME_SIZE} pixels or less, got {frame_size}")
    if which.fixed_size and frame_size != which.frame_size:
        raise UsageError(f"{which.name} takes frames of {which.frame_size} pixels only, got {frame_size}")
