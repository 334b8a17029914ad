"""Extractor: a backbone, a decoder and everything between them, which turn videos into features."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asl_extract.backbones import get_backbone
from asl_extract.backbones.weights import DEFAULT, RANDOM, load_backbone
from asl_extract.decoders import GPU_DECODERS, check_decoder, get_decoder
from asl_extract.decoding.events import DecodeSettings, NextVideo, decode_here
from asl_extract.decoding.threads import decode_in_threads
from asl_extract.decoding.workers import choose_workers, decode_in_workers
from asl_extract.flow.preparation import (
    IMAGES,
    FlowImagePreparer,
    FlowPreparer,
    get_flow_method,
    published_weights,
)
from asl_extract.frames import FramePreparer, Preparer, ResizeRule
from asl_extract.pipeline import FeaturePipeline, FrameCount
from asl_extract.settings import check_numbers, complete_spec
from asl_extract.videos import video_at
from asl_kit.errors import AslKitError, SpecConflictError
from asl_kit.grid import FeatureGrid
from asl_kit.store.spec import ExtractionSpec
from asl_kit.torch_utils.device import choose_precision, pin_memory, use_device

_FRAMES_PER_BATCH = {"cpu": 32, "cuda": 1024}  # on a CPU more would only take more memory


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
        What a user should know about how they were made; see `ClipPlan.note`.
    decoder : str
        Name and version of what decoded frames that are images; empty: the spec's decoder decoded the video file.
    """

    features: NDArray[np.float32]
    grid: FeatureGrid
    duration_s: float
    fps: float
    frames: int
    note: str = ""
    decoder: str = ""


class Extractor:
    """Turns videos into features, all in the way that a spec records.

    Parameters
    ----------
    spec : ExtractionSpec
        How to make the features: a store's or a checkpoint's spec, or one that `ExtractionSettings.resolve` returned.
        All that it states must hold here. Weights' names and hashes and the flow's details are filled in if open.
    weights, flow_weights : str or Path, optional
        ``default``, ``random`` or the path of a state dict; None: those that the spec names. Needed if they came
        from a file.
    decoder : str, optional
        A decoder to use in place of the spec's; colours may differ slightly.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    batch_size : int, optional
        Clips per forward pass; None: by device and backbone.
    decoder_threads : int
        Threads that the decoder may use; 0: as many as there are cores.

    Attributes
    ----------
    spec : ExtractionSpec
        Everything that decides a feature's value, given the video.
    count : FrameCount
        Frames processed so far, over all videos.

    Raises
    ------
    UsageError, MissingDependencyError, MissingFileError, CheckpointError
        If a setting is wrong or not available here.
    SpecConflictError
        If features cannot be made here as the spec states: they were imported, or made with other weights, another
        version of the decoder or another rule of this version of asl-kit.
    """

    def __init__(
        self,
        spec: ExtractionSpec,
        *,
        weights: str | Path | None = None,
        flow_weights: str | Path | None = None,
        decoder: str | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        decoder_threads: int = 1,
    ) -> None:
        if spec.is_imported:
            raise SpecConflictError(
                "these features were imported: how to extract them from a video is not known",
                hint="`asl_extract.imported.specs_like` returns how, if they were imported as a preset",
            )
        check_numbers(batch_size=batch_size)
        if decoder is not None:
            spec = spec.model_copy(update={"decoder": get_decoder(decoder).version()})
        self.device = use_device(device)
        made_here = complete_spec(spec)
        backbone = get_backbone(spec.backbone, pooling=spec.pooling)
        if weights is None:
            published = backbone.published.name if backbone.published else ""
            weights = _weights_of(spec.weights, spec.weights_sha256, published, option="--weights")
        precision = choose_precision(spec.precision, self.device)
        loaded = load_backbone(backbone, weights=str(weights), frame_size=spec.frame_size, precision=precision)
        found: dict[str, str | None] = {"weights": loaded.weights, "weights_sha256": loaded.weights_sha256}
        rule = backbone.resize.scaled_to(spec.frame_size)
        inputs: dict[str, Any] = {"mean": backbone.mean, "std": backbone.std, "device": self.device}
        if not spec.flow:
            self._prepare: Preparer = FramePreparer(rule=rule, **inputs)
        else:
            assert isinstance(rule, ResizeRule)  # BackboneSpec sees to it
            if spec.flow_method == IMAGES:
                found["flow"] = FlowImagePreparer.description
                self._prepare = FlowImagePreparer(rule=rule, **inputs)
            else:
                if flow_weights is None:
                    published = published_weights(spec.flow_method)
                    flow_weights = _weights_of(
                        spec.flow_weights, spec.flow_weights_sha256, published, option="--flow-weights"
                    )
                method = get_flow_method(spec.flow_method, weights=str(flow_weights), device=self.device)
                found |= {
                    "flow": method.description,
                    "flow_weights": method.weights,
                    "flow_weights_sha256": method.weights_sha256,
                }
                self._prepare = FlowPreparer(rule=rule, method=method, **inputs)
            if spec.flow == spec.flow_method:  # details are left open
                spec = spec.model_copy(update={"flow": found["flow"]})
        # The same tensors under another file name are the same weights.
        self.spec = spec.model_copy(update={name: value for name, value in found.items() if not getattr(spec, name)})
        names = {"weights": self.spec.weights, "flow_weights": self.spec.flow_weights}
        if differences := self.spec.differences(made_here.model_copy(update=found | names)):
            lines = "\n  ".join(differences)
            raise SpecConflictError(f"features cannot be made as recorded (the record against here):\n  {lines}")
        self.count = FrameCount()
        self.batch_size = batch_size or max(1, _FRAMES_PER_BATCH[self.device.type] // self.spec.clip_frames)
        self._backbone = loaded.backbone.to(self.device)
        if precision != torch.float32:
            self._backbone.cast_weights(precision)
        self._decoder_threads = decoder_threads

    def extract(
        self,
        video: str | Path,
        *,
        image_fps: float | None = None,
        on_frames: Callable[[int, int], None] | None = None,
    ) -> ExtractedVideo:
        """Return the features of one video.

        Parameters
        ----------
        video : str or Path
            The video file, or a folder or tar of images.
        image_fps : float, optional
            Frame rate of images.
        on_frames : callable, optional
            Called with (frames just decoded, frames in the file) during the work.

        Raises
        ------
        MissingFileError, VideoError
            If the file does not exist, or cannot be decoded completely.
        UsageError
            If it is a folder or tar of images, and no frame rate is given.
        """
        results = self.extract_all(
            [("", video_at(video, image_fps).source)],
            workers=0,
            on_frames=None if on_frames is None else lambda _, frames, total: on_frames(frames, total),
        )
        with closing(results):
            for _, result in results:
                if isinstance(result, AslKitError):
                    raise result
                return result
        raise AssertionError("neither features nor an error")

    def extract_all(
        self,
        videos: Iterable[NextVideo],
        *,
        workers: int | None = None,
        time_limit_s: float | None = None,
        folder: Path | None = None,
        on_frames: Callable[[str, int, int], None] | None = None,
    ) -> Generator[tuple[str, ExtractedVideo | AslKitError], None, None]:
        """Yield the features of many videos, or the error of a video that failed, each as soon as it is known.

        Close the generator to end all workers.

        Parameters
        ----------
        videos : iterable of NextVideo
            Each id once; taken one by one as they are decoded.
        workers : int, optional
            Processes that decode; 0: this one does; None: see `asl_extract.decoding.workers.choose_workers`.
        time_limit_s : float, optional
            A video fails when its decoder delivers nothing for so long. This process checks that between frames only.
        folder : Path, optional
            Where the features of long videos are kept until they are complete.
        on_frames : callable, optional
            Called with (id, frames just decoded, frames in the file) during the work.

        Raises
        ------
        UsageError
            If the decoder decodes on a GPU, and `device` is none or `workers` is above 0.
        AslKitError
            If the device has too little memory, workers cannot be started, or the disk is full.
        """
        check_decoder(self.spec.decoder_name, device=str(self.device), workers=workers)
        if workers is None:
            workers = choose_workers(self.device.type, decoder=self.spec.decoder_name)
        settings = DecodeSettings(
            decoder=self.spec.decoder_name,
            threads=self._decoder_threads,
            window_frames=self.spec.window_frames,
            stride_frames=self.spec.stride_frames,
            clip_frames=self.spec.clip_frames,
            resample_fps=self.spec.fps,
            every_frame=bool(self.spec.flow) and self.spec.flow_method != IMAGES,
            flow_images=self.spec.flow_method == IMAGES,
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
        if workers:
            events = decode_in_workers(
                videos,
                settings,
                workers=workers,
                time_limit_s=time_limit_s,
                pin=pin_memory(self.device),
                finish_copies=pipeline.finish_copies,
            )
        elif self.spec.decoder_name in GPU_DECODERS:
            events = decode_in_threads(videos, settings, time_limit_s=time_limit_s)
        else:
            events = decode_here(videos, settings, time_limit_s=time_limit_s)
        with closing(events):
            for video_id, result in pipeline.run(events):
                if isinstance(result, AslKitError):
                    yield video_id, result
                    continue
                opened, plan = result.opened, result.opened.plan
                yield (
                    video_id,
                    ExtractedVideo(
                        features=result.features,
                        grid=plan.grid,
                        duration_s=plan.frame_count / plan.fps,
                        fps=plan.fps,
                        frames=plan.frame_count,
                        note="; ".join(filter(None, (opened.note, plan.note))),
                        decoder=opened.decoder,
                    ),
                )


def _weights_of(recorded: str, sha256: str | None, published: str, *, option: str) -> str:
    """Return how to ask for the weights that a spec names; the default ones if it names none."""
    if recorded == RANDOM:
        return RANDOM
    if recorded in ("", published):
        return DEFAULT
    raise SpecConflictError(
        f"features were made with the weights file {recorded!r}, which was not given",
        hint=f"pass the file with SHA-256 (over its tensors) {sha256} by {option} FILE",
    )
