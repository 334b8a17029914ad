"""A trained model on new videos, from the file to detections: extraction and detection joined."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from asl_extract.decoding.events import NextVideo
from asl_extract.extractor import ExtractedVideo, Extractor
from asl_extract.imported import describe_differences, specs_like
from asl_extract.remote.ahead import share_ready
from asl_extract.remote.cache import CacheSettings, VideoCache
from asl_extract.remote.ready import ReadyVideo, fetch_ahead
from asl_extract.videos import Video, video_at
from asl_kit.checkpoint.ensemble import Ensemble, load_ensemble
from asl_kit.dataset.streams import FeatureStream, join_streams, joined_grid
from asl_kit.detections.per_video import VideoDetections
from asl_kit.errors import AslKitError, FeatureError, UsageError
from asl_kit.inference.detector import Detector
from asl_kit.store.spec import ExtractionSpec
from asl_kit.torch_utils.device import choose_device, default_precision


def load_model(
    checkpoint: str | Path | Sequence[str | Path],
    *,
    fusion_weights: Sequence[float] | None = None,
    device: str = "auto",
    weights: str | Path | Sequence[str | Path] = (),
    flow_weights: str | Path | None = None,
    decoder: str | None = None,
    decoder_threads: int = 1,
    batch_size: int | None = None,
) -> TrainedModel:
    """Return a trained model that detects actions in video files, as ``asl-kit predict`` does.

    Parameters
    ----------
    checkpoint : path or sequence of paths
        A file that ``asl-kit train`` wrote: ``model.ckpt``. It records how its features are made. Features that were
        imported as a preset are extracted as the preset states, if asl-kit has its backbones. The outputs of several
        checkpoints are averaged: see `asl_kit.checkpoint.ensemble.load_ensemble`.
    fusion_weights : sequence of float, optional
        Weight of each checkpoint. Default: equal.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    weights : path or sequence of paths
        The backbone's weights, if they came from a file. A model of several feature stores needs one for each, in
        the order in which it was trained on them: a file, ``default`` or ``random``. A store that was imported as a
        preset of two backbones needs two.
    flow_weights : path, optional
        The weights of the optical flow method, if they came from a file.
    decoder : str, optional
        Library that decodes the videos; None: the one that decoded the training videos, in the same version.
    decoder_threads, batch_size
        As for `asl_extract.extractor.Extractor`.

    Raises
    ------
    MissingFileError, CheckpointError
        If the file does not exist or is not a checkpoint.
    SpecConflictError
        If features cannot be made here as the checkpoint records.
    UsageError
        If the number of weights is not the number of backbones.
    """
    ensemble = load_ensemble([checkpoint] if isinstance(checkpoint, str | Path) else checkpoint, fusion_weights)
    precision = default_precision(choose_device(device))
    specs = [spec for recorded in ensemble.extraction for spec in _specs_of(recorded, precision)]
    given = [str(one) for one in ([weights] if isinstance(weights, str | Path) else weights)]
    if given and len(given) != len(specs):
        backbones = ", ".join(spec.backbone for spec in specs)
        raise UsageError(
            f"--weights is given {len(given)} times, but the model takes features of {len(specs)}: {backbones}",
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
        for spec, one in itertools.zip_longest(specs, given)
    ]
    return TrainedModel(ensemble, extractors, device=device)


def _specs_of(recorded: ExtractionSpec, precision: str) -> list[ExtractionSpec]:
    return specs_like(recorded, precision=precision) if recorded.is_imported else [recorded]


class TrainedModel:
    """Trained networks and the extractors that make their features; use `load_model` to create it.

    Parameters
    ----------
    ensemble : Ensemble
        The networks, their classes and settings.
    extractors : sequence of Extractor
        One for each feature stream, in order; several for a store that was imported as a preset of several backbones.
    device : str
        Device that runs the networks.

    Attributes
    ----------
    notes : list of str
        For each store that was imported: how its features are extracted here, and what may differ.
    """

    def __init__(self, ensemble: Ensemble, extractors: Sequence[Extractor], *, device: str = "auto") -> None:
        self.ensemble = ensemble
        self.notes = [describe_differences(spec) for spec in ensemble.extraction if spec.is_imported]
        self._extractors = list(extractors)
        self._detector = Detector.from_ensemble(ensemble, device)

    @property
    def decoder_name(self) -> str:
        """The library that decodes video files."""
        return self._extractors[0].spec.decoder_name

    def detect(self, video: str | Path, *, image_fps: float | None = None) -> VideoDetections:
        """Detect the actions in one video: a file, or a folder or tar of images with the frame rate `image_fps`.

        Raises
        ------
        MissingFileError, VideoError
            If the file does not exist, or cannot be decoded completely.
        FeatureError
            If a feature is not finite.
        """
        with closing(self.detect_all([video_at(video, image_fps)], workers=0)) as results:
            _, found = next(results)
        if isinstance(found, AslKitError):
            raise found
        return found

    def detect_all(
        self,
        videos: Iterable[Video],
        *,
        workers: int | None = None,
        time_limit_s: float | None = None,
        on_frames: Callable[[Video, float, int], None] | None = None,
        cache: CacheSettings | None = None,
    ) -> Generator[tuple[Video, VideoDetections | AslKitError], None, None]:
        """Yield the detections in each of many videos, or the error of that video, as soon as they are known.

        Close the generator to end all workers.

        Parameters
        ----------
        videos : iterable of Video
            As returned by `asl_extract.videos.find_sources`; taken one by one as they are decoded.
        workers : int, optional
            Processes that decode; 0: this process decodes; None: see `asl_extract.decoding.workers.choose_workers`.
        time_limit_s : float, optional
            A video fails if its decoder delivers nothing for this long.
        on_frames : callable, optional
            Called with (video, frames just decoded, frames in the file). If several streams each decode the video, a
            frame of one stream counts as a fraction.
        cache : CacheSettings, optional
            Where videos at addresses are kept.

        Raises
        ------
        AslKitError
            If the device has too little memory, workers cannot be started, or the disk is full.
        """
        ready: dict[str, ReadyVideo] = {}

        def count(video_id: str, frames: int, total: int) -> None:
            if on_frames is not None:
                on_frames(ready[video_id].video, frames / len(self._extractors), total)

        def sources(videos: Iterable[ReadyVideo | None]) -> Iterator[NextVideo]:
            for video in videos:
                if video is None:
                    yield None
                    continue
                ready[video.video.video_id] = video
                yield video.video.video_id, video.source

        def extract(
            extractor: Extractor, videos: Iterable[ReadyVideo | None]
        ) -> Generator[tuple[str, ExtractedVideo | AslKitError], None, None]:
            return extractor.extract_all(sources(videos), workers=workers, time_limit_s=time_limit_s, on_frames=count)

        with ExitStack() as stack:
            fetched = stack.enter_context(VideoCache(cache or CacheSettings()))
            of_each = share_ready(fetch_ahead(videos, fetched), len(self._extractors))
            extractions = [
                stack.enter_context(closing(extract(*both))) for both in zip(self._extractors, of_each, strict=True)
            ]
            # Each extraction yields every video once; with several workers, not in the same order.
            parts: dict[str, dict[int, ExtractedVideo | AslKitError]] = {}
            for results in zip(*extractions, strict=True):
                for number, (video_id, result) in enumerate(results):
                    parts.setdefault(video_id, {})[number] = result
                    if len(parts[video_id]) == len(extractions):
                        of_video = [part for _, part in sorted(parts.pop(video_id).items())]
                        video = ready.pop(video_id)
                        fetched.release(video.copy)
                        yield video.video, self._detect(video.video, [video.named(part) for part in of_video])

    def _detect(self, file: Video, results: Sequence[ExtractedVideo | AslKitError]) -> VideoDetections | AslKitError:
        """Return the detections in a video, given what each extraction yielded for it; or the first error."""
        extracted = []
        for result in results:
            if isinstance(result, AslKitError):
                return result
            extracted.append(result)
        video = extracted[0]
        grid = joined_grid(video.grid, self.ensemble.recipe.data)
        streams = [
            FeatureStream(part.features, part.grid, f"{file.path}: {extractor.spec.backbone}")
            for part, extractor in zip(extracted, self._extractors, strict=True)
        ]
        try:
            features = join_streams(streams, grid)
        except FeatureError as fault:
            return fault
        found = self._detector.detect(features, grid, video.duration_s)
        return VideoDetections(
            video_id=file.video_id,
            path=file.path,
            duration_s=video.duration_s,
            fps=video.fps,
            frames=video.frames,
            tables=self._detector.tables([file.video_id], [found]),
        )
