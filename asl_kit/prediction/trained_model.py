"""A trained model on new videos, from the file to detections: the one module that joins extraction and detection."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import torch

from asl_extract.extractor import ExtractedVideo, Extractor
from asl_extract.videos import VideoFile
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.dataset.feature_reader import resample
from asl_kit.detections.per_video import VideoDetections
from asl_kit.errors import AslKitError, UsageError
from asl_kit.inference.detect import detect, resolve_window_length, to_detections
from asl_kit.torch_utils.device import choose_device, choose_precision

_Extracted = ExtractedVideo | AslKitError


def load_model(
    checkpoint: str | Path,
    *,
    device: str = "auto",
    weights: str | Path | Sequence[str | Path] = (),
    flow_weights: str | Path | None = None,
    decoder: str | None = None,
    decoder_threads: int = 1,
    batch_size: int | None = None,
) -> TrainedModel:
    """Return a trained model, ready to find actions in videos: what ``asl-kit predict`` runs.

    Parameters
    ----------
    checkpoint : path
        What ``asl-kit train`` has written: ``model.ckpt``. It says how features are made.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    weights : path or sequence of paths
        The backbone's weights, if they came from a file. With several feature stores, one for each in the order in
        which the model was trained on them: a file, ``default`` or ``random``.
    flow_weights : path, optional
        The weights of the optical flow, if they came from a file.
    decoder : str, optional
        Library that reads the videos; None: the one that read the training videos, and no other version of it.
    decoder_threads, batch_size
        As in `asl_extract.extractor.Extractor`.

    Raises
    ------
    MissingFileError, CheckpointError
        If there is no such file, or it is no checkpoint.
    SpecConflictError
        If features cannot be made here as the checkpoint says.
    UsageError
        If there are more or fewer weights than feature stores.
    """
    trained = load_checkpoint(Path(checkpoint))
    streams = trained.extraction
    given = [str(one) for one in ([weights] if isinstance(weights, str | Path) else weights)]
    if given and len(given) != len(streams):
        backbones = ", ".join(spec.backbone for spec in streams)
        raise UsageError(
            f"--weights is given {len(given)} times, but the model takes features of {len(streams)}: {backbones}",
            hint="give it once for each, in this order; `default` stands for the publisher's",
        )
    extractors = [
        Extractor(
            spec,
            weights=one,
            flow_weights=flow_weights,
            device=device,
            decoder=decoder,
            decoder_threads=decoder_threads,
            batch_size=batch_size,
        )
        for spec, one in itertools.zip_longest(streams, given)
    ]
    return TrainedModel(trained, extractors, device=device)


class TrainedModel:
    """A trained network and the extractors that make its features; make it with `load_model`.

    Parameters
    ----------
    checkpoint : Checkpoint
        The network, its classes and settings.
    extractors : sequence of Extractor
        One for each feature stream, in order.
    device : str
        Where the network computes.
    """

    def __init__(self, checkpoint: Checkpoint, extractors: Sequence[Extractor], *, device: str = "auto") -> None:
        self.checkpoint = checkpoint
        self._extractors = list(extractors)
        self._device = choose_device(device)
        self._network = checkpoint.build().to(self._device)

    def detect(self, video: str | Path) -> VideoDetections:
        """Find the actions in one video file.

        Raises
        ------
        MissingFileError, VideoError
            If the file is not there, or cannot be decoded wholly.
        """
        path = Path(video)
        with closing(self.detect_all([VideoFile(path.stem, path)], workers=0)) as results:
            for _, found in results:
                if isinstance(found, AslKitError):
                    raise found
                return found
        raise AssertionError("a video has come to neither detections nor an error")

    def detect_all(
        self,
        videos: Sequence[VideoFile],
        *,
        workers: int | None = None,
        time_limit_s: float | None = None,
        on_frames: Callable[[VideoFile, float, int], None] | None = None,
    ) -> Generator[tuple[VideoFile, VideoDetections | AslKitError], None, None]:
        """Yield what is found in each of many videos, or why nothing is, each as soon as it is known.

        Close the generator to end all workers.

        Parameters
        ----------
        videos : sequence of VideoFile
            As `asl_extract.videos.find_videos` returns them.
        workers : int, optional
            Processes that decode; 0: this one does; None: as `asl_extract.decoding.workers.choose_workers` says.
        time_limit_s : float, optional
            Give a video up when its decoder delivers nothing for so long.
        on_frames : callable, optional
            Called with (video, frames just decoded, frames in the file) as the work goes on. Where several streams
            decode a video each, a frame counts for each stream in part.

        Raises
        ------
        AslKitError
            If the device has too little memory, workers cannot be started, or the disk is full.
        """
        files = {file.video_id: file for file in videos}

        def count(video_id: str, frames: int, total: int) -> None:
            if on_frames is not None:
                on_frames(files[video_id], frames / len(self._extractors), total)

        with ExitStack() as open_streams:
            streams = [
                open_streams.enter_context(
                    closing(
                        extractor.extract_all(
                            [(file.video_id, file.id_fault or file.path) for file in videos],
                            workers=workers,
                            time_limit_s=time_limit_s,
                            on_frames=count,
                        )
                    )
                )
                for extractor in self._extractors
            ]
            # Each stream has every video once; with several workers they do not come in the same order.
            parts: dict[str, dict[int, _Extracted]] = {}
            for results in zip(*streams, strict=True):
                for stream, (video_id, result) in enumerate(results):
                    parts.setdefault(video_id, {})[stream] = result
                    if len(parts[video_id]) == len(streams):
                        of_video = [part for _, part in sorted(parts.pop(video_id).items())]
                        yield files[video_id], self._finish(files[video_id], of_video)

    def _finish(self, file: VideoFile, streams: Sequence[_Extracted]) -> VideoDetections | AslKitError:
        """Return what is found in a video by its features, or the error of the first stream that has none."""
        extracted = []
        for stream in streams:
            if isinstance(stream, AslKitError):
                return stream
            extracted.append(stream)
        first, *others = extracted
        features, grid = first.features, first.grid
        if others:
            features = np.concatenate(
                [features, *(resample(other.features, other.grid, grid) for other in others)], axis=1
            )
        recipe = self.checkpoint.recipe
        if recipe.data.resize_length is not None:
            grid = grid.resized(recipe.data.resize_length)
            features = resample(features, first.grid, grid)
        found = detect(
            self._network,
            torch.from_numpy(features),
            grid=grid,
            duration_s=first.duration_s,
            classes=[len(names) for names in self.checkpoint.vocabularies.values()],
            settings=recipe.inference,
            window_length=resolve_window_length(recipe.inference, self.checkpoint.shape.sequence_length),
            precision=choose_precision(recipe.run.precision, self._device),
        )
        return VideoDetections(
            video_id=file.video_id,
            path=file.path,
            duration_s=first.duration_s,
            fps=first.fps,
            frames=first.frames,
            tables=to_detections([file.video_id], [found], self.checkpoint.vocabularies),
        )
