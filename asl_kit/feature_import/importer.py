"""The import: feature files into a store. It can be resumed, and one file that fails does not stop the others."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.annotations.schema import Video
from asl_kit.base.console import progress_bar
from asl_kit.errors import AslKitError, FeatureError, StoreError, UsageError, error_context
from asl_kit.feature_import.layout import TIME_FIRST, Layout, find_layout, two_axes
from asl_kit.feature_import.matching import Matching, Target, match
from asl_kit.feature_import.readers import Source, find_sources, identity, read, read_shape
from asl_kit.feature_import.settings import ImportSettings
from asl_kit.feature_import.summary import SHOWN, ImportSummary
from asl_kit.feature_import.timing import Length, Timing, part_of_parent, suggest
from asl_kit.remote.address import Place, local_path
from asl_kit.store import FeatureStore, FileIdentity, SourceVideo, encode_id
from asl_kit.store.spec import UNNAMED

_CHANGED_HINT = "--replace-changed imports it again"


@dataclass(frozen=True, slots=True)
class _Imported:
    """The result for one video."""

    video_id: str
    features: int = 0
    length: Length | None = None
    fault: AslKitError | None = None


def import_features(
    folder: str | Path,
    store: Place,
    settings: ImportSettings,
    *,
    annotations: str | Path | None = None,
    on_error: str = "skip",
    replace_changed: bool = False,
    workers: int = 2,
) -> ImportSummary:
    """Import features that were made elsewhere into a store.

    Videos that the store already holds are skipped, so the same call resumes an interrupted import. If the
    file of such a video has changed, the video fails, unless it is to be replaced. A video that cannot be
    imported is recorded in the store's ledger with the reason.

    Parameters
    ----------
    folder : str or Path
        A folder of feature files, or one file that holds the features of many videos.
    store : str or Path
        The feature store; created if absent.
    settings : ImportSettings
        How the features were made and how their files are named.
    annotations : str or Path, optional
        Imports only the annotated videos and uses their durations and frame rates; None: imports every file.
    on_error : {"skip", "stop"}
        Whether a video that fails is skipped or ends the import with its error.
    replace_changed : bool
        Whether to import videos again whose files have changed since they were stored.
    workers : int
        Number of files processed at the same time; each keeps one video in memory.

    Returns
    -------
    ImportSummary
        What was imported, skipped or failed, and what did not fit.

    Raises
    ------
    UsageError, MissingFileError
        If an option is wrong or missing, or there are no feature files.
    FeatureError
        If the layout cannot be determined, no file or two files match a video, or a video fails and `on_error` is
        ``stop``.
    SpecConflictError
        If the features in the store were made in another way.

    Examples
    --------
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from asl_kit.feature_import import ImportSettings, import_features
    >>> _ = Path("i3d").mkdir()
    >>> np.save("i3d/video_1.npy", np.zeros((90, 1024), np.float32))
    >>> settings = ImportSettings(window_frames=16, stride_frames=4, fps=30.0, dimension=1024)
    >>> import_features("i3d", "features.zarr", settings).done
    ['video_1']
    """
    folder, store = Path(folder), local_path(store, what="a feature store")
    if on_error not in ("skip", "stop"):
        raise UsageError(f"on_error is {on_error!r}, expected skip or stop")
    settings, timing = settings.resolve()
    if annotations is None and timing.resized:
        raise UsageError("resized features need each video's duration", hint="give --annotations")
    if annotations is None and timing.fps is None:
        raise UsageError("the videos' frame rate is not known", hint="give --fps, or --annotations that state it")
    started_s = time.monotonic()
    annotated = None if annotations is None else read_annotations(Path(annotations))
    videos = None if annotated is None else annotated.videos
    found = find_sources(folder, settings.key)
    matching = match(found.sources, videos, prefix=settings.prefix or "", suffix=settings.suffix or "")
    if annotated is not None:
        _check_matches(matching, annotated, timing)
    sources = list(matching.targets)
    shapes, squeezed = _shapes(sources, settings.key)
    layout = _layout(shapes, sources, settings)
    spec = timing.spec(dimension=layout.dimension, weights=settings.name or UNNAMED)
    summary = ImportSummary(
        store=str(store),
        layout=str(layout),
        timing=str(timing),
        matched_by=dict(matching.rules),
        unmatched_files=[str(source) for source in matching.unmatched],
        videos_without_features=matching.without,
        other_files=[str(path) for path in found.other_files],
        squeezed=squeezed,
    )
    opened = FeatureStore.open_or_create(store, spec, settings.dtype)
    job = _Job(opened, layout, timing, videos or {}, settings.key, replace_changed)
    _run(job, matching.targets, summary, on_error=on_error, workers=workers)
    summary.seconds = time.monotonic() - started_s
    return summary


def _check_matches(matching: Matching, annotated: AnnotationSet, timing: Timing) -> None:
    """Refuse files of which none matches a video, and videos without a frame rate if their windows need one."""
    if matching.unmatched and not matching.targets:
        files = ", ".join(repr(source.name) for source in matching.unmatched[:3])
        ids = ", ".join(repr(video_id) for video_id in list(annotated.videos)[:3])
        raise FeatureError(
            f"no file matches a video: files are named {files}, videos {ids}",
            hint="--prefix and --suffix state what file names have before and after the video id",
        )
    matched = [target.video_id for targets in matching.targets.values() for target in targets]
    needs_rates = timing.fps is None and not timing.resized
    if needs_rates and all(annotated.videos[video_id].fps is None for video_id in matched):
        raise UsageError("the annotations state no frame rate, which the windows need", hint="give --fps")


def _shapes(sources: list[Source], key: str | None) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Return the two axes of every readable file that is not a table, and the files with more axes."""
    shapes: dict[str, tuple[int, int]] = {}
    squeezed = []
    with progress_bar("reading shapes", len(sources)) as bar:
        for source in sources:
            bar.advance()
            try:
                shape = read_shape(source, key)
            except FeatureError:
                continue  # reported when the file is imported
            axes = None if shape is None else two_axes(shape)
            if shape is None or axes is None or 0 in axes:
                continue
            shapes[str(source)] = axes
            if len(shape) > 2:
                squeezed.append(f"{source}: {shape}")
    return shapes, squeezed


def _layout(shapes: dict[str, tuple[int, int]], sources: list[Source], settings: ImportSettings) -> Layout:
    """Determine the layout from the files' shapes; if all files are tables, from the first: its rows are time."""
    if shapes:
        return find_layout(shapes, dimension=settings.dimension, layout=settings.layout)
    first: FeatureError | None = None
    for source in sources:
        try:
            values = read(source, settings.key)
            if values.ndim == 2 and values.size:
                shape, layout = {str(source): values.shape}, settings.layout or TIME_FIRST
                return find_layout(shape, dimension=settings.dimension, layout=layout)
            raise FeatureError(f"{source}: the shape is {values.shape}, expected two axes that are not empty")
        except FeatureError as fault:
            first = first or fault
    assert first is not None, "at least one file was matched"
    raise FeatureError(f"none of the {len(sources)} files can be read; the first: {first.message}", hint=first.hint)


@dataclass(frozen=True, slots=True)
class _Job:
    """The settings for importing one file."""

    store: FeatureStore
    layout: Layout
    timing: Timing
    videos: Mapping[str, Video]
    key: str | None
    replace_changed: bool

    def import_source(self, source: Source, targets: list[Target]) -> list[_Imported]:
        """Read one file and store the features of each of its videos; return faults instead of raising them."""
        started_s = time.monotonic()
        try:
            file = identity(source)  # before it is read: if it is still being written, a later run finds a change
        except (OSError, FeatureError):
            file = None  # reading it tells why
        try:
            values = self.layout.arrange(read(source, self.key), str(source))
        except FeatureError as fault:
            return [self._failed(target, fault, started_s) for target in targets]
        stored = []
        for target in targets:
            try:
                stored.append(self._store(source, file, target, values, started_s))
            except FeatureError as fault:
                stored.append(self._failed(target, fault, started_s))
            started_s = time.monotonic()
        return stored

    def _failed(self, target: Target, fault: FeatureError, started_s: float) -> _Imported:
        self.store.ledger.record(target.video_id, "failed", fault.message, seconds=time.monotonic() - started_s)
        return _Imported(target.video_id, fault=fault)

    def _store(
        self, source: Source, file: FileIdentity | None, target: Target, values: NDArray[Any], started_s: float
    ) -> _Imported:
        try:
            encode_id(target.video_id)
        except StoreError as fault:
            raise FeatureError(f"{source}: {fault.message}", hint=fault.hint) from None
        video = self.videos.get(target.video_id)
        video_fps = None if video is None else video.fps
        duration_s = None if video is None else video.duration
        with error_context(f"{source}: video {target.video_id!r}", FeatureError):
            if target.start_s is not None and self.timing.resized:
                raise FeatureError("it is a part of a parent video whose duration is not known")
            grid = self.timing.grid(len(values), video_fps=video_fps, duration_s=duration_s)
            if target.start_s is not None and target.end_s is not None:
                rows, grid = part_of_parent(grid, target.start_s, target.end_s)
                values = values[rows]
        length = None
        if not self.timing.resized:
            rate = self.timing.rate(video_fps)
            end_s = self.timing.end_s(grid, rate)
            if duration_s is None:
                duration_s = max(end_s, 0.0)
            else:
                length = Length(
                    target.video_id,
                    grid.length,
                    rate,
                    end_s,
                    duration_s,
                    self.timing.tolerance_s(rate),
                    whole=target.start_s is None,
                )
        frames = None if video is None else video.frames
        stored = SourceVideo(target.video_id, grid, duration_s or 0.0, video_fps, frames, source=file)
        seconds = time.monotonic() - started_s
        self.store.write(stored, values, seconds=seconds, replace=self.replace_changed)
        return _Imported(target.video_id, grid.length, length)


def _run(
    job: _Job, targets: Mapping[Source, list[Target]], summary: ImportSummary, *, on_error: str, workers: int
) -> None:
    """Import every file with a video that the store lacks; add the results to `summary`."""
    lengths: list[Length] = []
    with progress_bar("import", sum(map(len, targets.values()))) as bar:
        wanted = []
        for source, of_source in targets.items():
            missing = [target for target in of_source if _is_wanted(job, source, target.video_id, summary)]
            bar.advance(len(of_source) - len(missing))
            if missing:
                wanted.append((source, missing))
        for video_id, reason in summary.failed.items():
            fault = FeatureError(reason, hint=_CHANGED_HINT)
            if on_error == "stop":
                raise fault
            bar.message(f"failed: {video_id}: {reason} ({_CHANGED_HINT})")
        for result in _in_order(job, wanted, workers):
            bar.advance()
            if result.fault is not None:
                if on_error == "stop":
                    raise result.fault
                summary.failed[result.video_id] = result.fault.message
                if len(summary.failed) <= SHOWN:
                    hint = f" ({result.fault.hint})" if result.fault.hint else ""
                    bar.message(f"failed: {result.video_id}: {result.fault.message}{hint}")
                continue
            summary.done.append(result.video_id)
            summary.features += result.features
            if result.length is not None:
                lengths.append(result.length)
    summary.lengths = [length for length in lengths if not length.fits]
    summary.suggestions = suggest(job.timing, lengths)


def _is_wanted(job: _Job, source: Source, video_id: str, summary: ImportSummary) -> bool:
    """Return whether a video is to be imported; otherwise note in the summary why not."""
    if video_id not in job.store:
        return True
    check = job.store.check_source(video_id, lambda _: identity(source))
    if check.state == "changed":
        summary.changed.append(video_id)
        if job.replace_changed:
            return True
        summary.failed[video_id] = check.reason
        return False
    summary.skipped.append(video_id)
    if check.reason:
        summary.not_compared[video_id] = check.reason
    return False


def _in_order(job: _Job, wanted: list[tuple[Source, list[Target]]], workers: int) -> Iterator[_Imported]:
    """Yield the result of each video in order, processing `workers` files at a time so that disk waits overlap."""
    if workers <= 1:
        for source, targets in wanted:
            yield from job.import_source(source, targets)
        return
    pending: deque[Future[list[_Imported]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for source, targets in wanted:
            if len(pending) >= workers:
                yield from pending.popleft().result()
            pending.append(pool.submit(job.import_source, source, targets))
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
