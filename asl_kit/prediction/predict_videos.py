"""Many videos through a trained model: detections are written for programs and for people, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asl_evaluate.report import write_detections_report
from asl_evaluate.video_score_files import read_video_scores
from asl_evaluate.video_scores import DEFAULT_TOP_K, VideoScores, fuse_tables, only_vocabulary
from asl_extract.decoders import check_decoder
from asl_extract.decoders.image_files import is_image_sequence
from asl_extract.decoding.workers import choose_workers
from asl_extract.remote.cache import CACHE_SIZE_GB, CacheSettings, say_what_is_fetched
from asl_extract.videos import RemoteVideo, Video, find_sources, with_image_fps
from asl_kit.base.child_process import TIME_LIMIT_S
from asl_kit.base.console import err, progress_bar, warn
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import DetectionTables
from asl_kit.errors import AslKitError, UsageError
from asl_kit.outputs.summary import OutputSummary, failure_line
from asl_kit.outputs.table import write_detections
from asl_kit.outputs.viewing import ViewingFiles, ViewingWriter
from asl_kit.prediction.devices import ModelOnDevices
from asl_kit.prediction.frame_progress import FrameProgress
from asl_kit.prediction.trained_model import TrainedModel, load_model
from asl_kit.remote.access import SILENCE_S
from asl_kit.remote.address import Place
from asl_kit.torch_utils.device import choose_device, choose_devices


@dataclass(frozen=True)
class PredictionOptions:
    """How a model and its videos are loaded, and what names classes; nothing of it changes which features are made.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``; or several, as in ``cuda:0,cuda:1``, or ``all`` CUDA devices: each
        takes one video after the other, in a process of its own.
    fusion_weights, weights, flow_weights, decoder, decoder_threads, batch_size
        As for `asl_kit.prediction.trained_model.load_model`.
    workers, time_limit_s
        As for `asl_kit.prediction.trained_model.TrainedModel.detect_all`, for each device.
    image_fps : float, optional
        Frame rate of videos whose frames are images.
    cache, cache_size_gb
        As for `asl_extract.settings.RunOptions`.
    video_scores : path, optional
        Scores of whole videos, which name the classes of the detections: see `asl_evaluate.video_score_files`.
    top_k : int
        Number of classes that each detection gets from `video_scores`.
    """

    device: str = "auto"
    fusion_weights: Sequence[float] | None = None
    weights: Sequence[str | Path] = ()
    flow_weights: str | Path | None = None
    decoder: str | None = None
    decoder_threads: int = 1
    batch_size: int | None = None
    workers: int | None = None
    time_limit_s: float = TIME_LIMIT_S
    image_fps: float | None = None
    cache: str | Path | None = None
    cache_size_gb: float = CACHE_SIZE_GB
    video_scores: str | Path | None = None
    top_k: int = DEFAULT_TOP_K

    @property
    def cache_settings(self) -> CacheSettings:
        """Where videos at addresses are kept."""
        return CacheSettings(self.cache, self.cache_size_gb, min(SILENCE_S, self.time_limit_s))


@dataclass(frozen=True)
class PredictionSummary(OutputSummary):
    """What `predict_videos` detected and wrote.

    Parameters
    ----------
    videos : list of VideoDetections
        Of each video that did not fail.
    stopped_by : BaseException, optional
        What ended the run before all videos were done: Ctrl-C (`KeyboardInterrupt`), or an error such as a full disk.
    """

    videos: list[VideoDetections]
    stopped_by: BaseException | None

    def raise_failures(self) -> None:
        """Raise what ended the run early; else one `AslKitError` that lists everything that failed, if anything did."""
        if self.stopped_by is not None:
            raise self.stopped_by
        super().raise_failures()


def predict_videos(
    videos: Place | Sequence[Place],
    checkpoint: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    report: str | Path | None = None,
    viewing: ViewingFiles | None = None,
    options: PredictionOptions | None = None,
    check: bool = True,
) -> PredictionSummary:
    """Detect actions in videos and write them to files, as ``asl-kit predict`` does.

    A video that cannot be decoded does not stop the others. If the run ends early, by Ctrl-C or an error, the
    detections made until then are written nevertheless.

    Parameters
    ----------
    videos : path, address or sequence of them
        Files, folders, patterns and addresses: see `asl_extract.videos.find_sources`.
    checkpoint : path or sequence of paths
        A trained model, or several whose outputs are averaged: see `asl_kit.checkpoint.ensemble.load_ensemble`.
    out : path
        File of all detections: a table if the suffix is ``.csv``, else ActivityNet's JSON. With several vocabularies
        each has its own: see `asl_kit.detections.table.DetectionTables.files`.
    report : path, optional
        HTML page that plays each video beside its timeline.
    viewing : ViewingFiles, optional
        Subtitles, edit decision lists and clips to write.
    options : PredictionOptions, optional
        Device, decoding and weights.
    check : bool
        Raise what ended the run early after writing the detections; False: only record it in the summary.

    Raises
    ------
    UsageError, MissingFileError, MissingDependencyError, CheckpointError, SpecConflictError, PredictionError
        If a parameter is wrong; nothing has been written then.
    AslKitError
        If the run cannot continue, for example because the disk is full.
    """
    options = options or PredictionOptions()
    sources = [videos] if isinstance(videos, Place) else videos
    files = with_image_fps(find_sources(sources, same_names=True), options.image_fps, {})
    _check_viewing(files, viewing)
    say_what_is_fetched(files, options.cache_settings)
    naming = read_video_scores(Path(options.video_scores)) if options.video_scores is not None else None
    if naming is not None:
        naming.require_videos(file.video_id for file in files)
    model, workers = _open_model(checkpoint, options, naming)
    writer = ViewingWriter(viewing or ViewingFiles(), [file.video_id for file in files])
    found: list[VideoDetections] = []
    failed: list[str] = []
    stopped_by: BaseException | None = None
    with progress_bar("frames", None) as bar:
        progress = FrameProgress(bar, files)
        try:
            with closing(
                model.detect_all(
                    files,
                    workers=workers,
                    time_limit_s=options.time_limit_s,
                    on_frames=progress.advance,
                    cache=options.cache_settings,
                )
            ) as results:
                for file, result in results:
                    progress.finish(file)
                    if isinstance(result, AslKitError):
                        failed.append(result.message)
                        bar.message(failure_line(result))
                    else:
                        if naming is not None:
                            result = replace(result, tables=fuse_tables(result.tables, naming, options.top_k))
                        found.append(result)
                        writer.write(result, bar)
        except (KeyboardInterrupt, Exception) as fault:
            stopped_by = fault
    order = {file.video_id: number for number, file in enumerate(files)}
    found.sort(key=lambda video: order[video.video_id])
    written = _write_all(found, Path(out), report) if found else []
    if stopped_by is None:
        writer.cut_best_clips(found)
    elif check:
        raise stopped_by
    return PredictionSummary(
        video_count=len(files),
        written=[*written, *writer.written],
        failed_videos=failed,
        failed_files=writer.failures,
        videos=found,
        stopped_by=stopped_by,
    )


def _check_viewing(videos: Sequence[Video], viewing: ViewingFiles | None) -> None:
    """Refuse files for people that are made from the video files, if those are not kept."""
    first = next((video for video in videos if isinstance(video, RemoteVideo)), None)
    if first is not None and viewing is not None and (viewing.subtitles, viewing.edl, viewing.clips) != (None,) * 3:
        raise UsageError(
            f"{first.path}: subtitles, edit lists and clips need the video file, which is deleted after use",
            hint="download the videos; `asl-kit render` makes these files from the detections, also later",
        )


def _open_model(
    checkpoint: str | Path | Sequence[str | Path], options: PredictionOptions, naming: VideoScores | None
) -> tuple[TrainedModel | ModelOnDevices, int | None]:
    """Return the model on the devices that the options name, and the number of decoder processes for each."""
    devices = choose_devices(options.device)
    loading: dict[str, Any] = {
        "fusion_weights": options.fusion_weights,
        "weights": options.weights,
        "flow_weights": options.flow_weights,
        "decoder": options.decoder,
        "decoder_threads": options.decoder_threads,
        "batch_size": options.batch_size,
    }
    several = len(devices) > 1
    # With several, what is wrong is said once, before processes start.
    model = load_model(checkpoint, device="cpu" if several else devices[0], **loading)
    for note in model.notes:
        warn(err(), note, what="note")
    if naming is not None:
        vocabularies = model.ensemble.vocabularies
        name = only_vocabulary(vocabularies)
        naming.require_classes(vocabularies[name], name)
    if not several:
        return model, options.workers
    workers = options.workers
    for device in devices:
        check_decoder(model.decoder_name, device=device, workers=workers)
    if workers is None:
        workers = choose_workers(choose_device(devices[0]).type, decoder=model.decoder_name, devices=len(devices))
    return ModelOnDevices(devices, checkpoint, loading), workers


def _write_all(videos: Sequence[VideoDetections], out: Path, report: str | Path | None) -> list[Path]:
    written = write_detections(out, videos)
    if report is not None:
        write_detections_report(
            Path(report),
            DetectionTables.join([video.tables for video in videos]).shown,
            durations_s={video.video_id: video.duration_s for video in videos},
            # A page cannot play images, and loads nothing from elsewhere.
            files={
                video.video_id: video.path
                for video in videos
                if isinstance(video.path, Path) and not is_image_sequence(video.path)
            },
        )
        written.append(Path(report))
    return written
