"""The import run: files of features into one store, going on where it left off, whatever single files do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.annotations.schema import Video
from asl_kit.base.console import progress_bar
from asl_kit.errors import AslKitError, FeatureError, StoreError, UsageError, error_context
from asl_kit.feature_import.layout import TIME_FIRST, Layout, find_layout, two_axes
from asl_kit.feature_import.matching import Matching, Target, match
from asl_kit.feature_import.presets import get_preset
from asl_kit.feature_import.readers import Source, find_sources, read, read_shape
from asl_kit.feature_import.timing import Length, Timing, part_of_parent, suggest
from asl_kit.store import FeatureStore, SourceVideo, encode_id

UNNAMED = "unnamed"
SHOWN = 10


@dataclass
class ImportSummary:
    """What an import did; every list is whole here, and shortened in the text.

    Parameters
    ----------
    store : str
        The store's folder.
    layout, timing : str
        What was decided for all files.
    matched_by : dict of str to int
        Videos found, by the rule.
    done, skipped : list of str
        Ids of videos added, and of those that were in the store before.
    failed : dict of str to str
        Reason by video id.
    unmatched_files, videos_without_features : list of str
        Files of no annotated video, and annotated videos of no file.
    other_files : list of str
        Files of no known extension.
    squeezed : list of str
        Files with axes of length 1 that were removed.
    lengths : list of Length
        Of the videos whose features contradict their duration.
    suggestions : list of str
        Options that would make nearly all lengths fit.
    features : int
        Features written.
    seconds : float
        Time taken.
    """

    store: str
    layout: str = ""
    timing: str = ""
    matched_by: dict[str, int] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unmatched_files: list[str] = field(default_factory=list)
    videos_without_features: list[str] = field(default_factory=list)
    other_files: list[str] = field(default_factory=list)
    squeezed: list[str] = field(default_factory=list)
    lengths: list[Length] = field(default_factory=list)
    suggestions: list[str] = field(default_factory=list)
    features: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the summary as a JSON-ready dict."""
        return asdict(self)

    def to_text(self) -> str:
        """Return the summary, of each list the first entries."""
        rules = ", ".join(f"{count} by {rule}" for rule, count in self.matched_by.items())
        lines = [
            f"layout: {self.layout}",
            f"timing: {self.timing}",
            f"matched: {rules or 'nothing'}",
            f"{self.store}: {len(self.done)} videos imported, {len(self.skipped)} there before,"
            f" {len(self.failed)} failed; {self.features} features in {self.seconds:.1f} s",
        ]
        failed = [f"{name}: {reason}" for name, reason in self.failed.items()]
        for title, entries in (
            ("failed", failed),
            ("files of no annotated video", self.unmatched_files),
            ("videos without features", self.videos_without_features),
            ("files of no known extension, passed over", self.other_files),
            ("files with axes of length 1, removed", self.squeezed),
            ("features that end more than a window away from their video", [str(entry) for entry in self.lengths]),
        ):
            lines += _listed(title, entries)
        if self.suggestions:
            lines.append(f"the lengths would fit with {' or '.join(self.suggestions)}: look up how these were made")
        return "\n".join(lines)


def _listed(title: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    more = [f"  and {len(entries) - SHOWN} more: --report lists all"] if len(entries) > SHOWN else []
    return [f"{title}: {len(entries)}", *(f"  {entry}" for entry in entries[:SHOWN]), *more]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What became of one video."""

    video_id: str
    features: int = 0
    length: Length | None = None
    fault: AslKitError | None = None


def import_features(
    place: Path,
    store: Path,
    *,
    annotations: Path | None = None,
    preset: str | None = None,
    window_frames: int | None = None,
    stride_frames: int | None = None,
    fps: float | None = None,
    offset_s: float | None = None,
    resized: bool = False,
    dimension: int | None = None,
    layout: str | None = None,
    prefix: str | None = None,
    suffix: str | None = None,
    key: str | None = None,
    name: str | None = None,
    dtype: str = "float16",
    on_error: str = "skip",
    workers: int = 2,
) -> ImportSummary:
    """Bring features that were made elsewhere into a store.

    Videos that the store already holds are skipped, so the same call goes on after an interruption. A
    video that fails is recorded in the store's ledger with the reason.

    Parameters
    ----------
    place : Path
        A folder of feature files, or one file that holds those of many videos.
    store : Path
        The feature store; made if it is not there.
    annotations : Path, optional
        Only its videos are imported, and their durations and frame rates are used; None: every file.
    preset : str, optional
        ``DATASET/NAME`` of a feature set that a manifest describes, instead of the options that follow.
    window_frames, stride_frames, fps, offset_s, resized
        Where in time the features lie; as in `Timing`.
    dimension : int, optional
        Values per feature.
    layout : {"time-first", "channels-first"}, optional
        (T, D) or (D, T); None: found out.
    prefix, suffix : str, optional
        What file names have around the video's id.
    key : str, optional
        Name of the array in files that hold several.
    name : str, optional
        What to call these features in the store's record; by default the preset's name.
    dtype : {"float16", "float32"}
        Type of the stored features.
    on_error : {"skip", "stop"}
        Whether a video that fails is passed over, or ends the run with its error.
    workers : int
        Files worked on at once; each holds one video in memory.

    Returns
    -------
    ImportSummary
        What was done, skipped, failed, and did not fit.

    Raises
    ------
    UsageError, MissingFileError
        If an option is wrong or missing, or there are no feature files.
    FeatureError
        If the layout cannot be told, no or two files match a video, or a video fails and `on_error` is ``stop``.
    SpecConflictError
        If the store's features were made in another way.
    """
    if on_error not in ("skip", "stop"):
        raise UsageError(f"on_error is {on_error!r}, expected skip or stop")
    if preset is not None:
        chosen = get_preset(preset)
        _refuse_with_preset(
            preset,
            {
                "--window": window_frames,
                "--stride": stride_frames,
                "--fps": fps if chosen.fps is not None or chosen.resized_to is not None else None,
                "--offset-s": offset_s,
                "--resized": resized or None,
                "--dim": dimension,
                "--prefix": prefix if chosen.prefix else None,
                "--suffix": suffix if chosen.suffix else None,
                "--name": name,
            },
        )
        timing = Timing.of(chosen)
        if fps is not None:
            timing = Timing.of(chosen.model_copy(update={"fps": fps}))
        dimension, prefix, suffix = chosen.dimensions, prefix or chosen.prefix, suffix or chosen.suffix
    else:
        timing = Timing.of_options(
            window_frames=window_frames, stride_frames=stride_frames, fps=fps, offset_s=offset_s, resized=resized
        )
    _check_against_annotations(timing, annotations)
    started_s = time.monotonic()
    annotated = None if annotations is None else read_annotations(annotations)
    found = find_sources(place, key)
    matching = match(
        found.sources, None if annotated is None else annotated.videos, prefix=prefix or "", suffix=suffix or ""
    )
    if annotated is not None and found.sources and not matching.targets:
        _refuse_no_match(matching, annotated)
    if annotated is not None and timing.fps is None and not timing.resized:
        _refuse_no_frame_rates(matching, annotated)
    shapes, squeezed = _shapes(list(matching.targets), key)
    decided = _layout(shapes, list(matching.targets), key, dimension=dimension, layout=layout)
    spec = timing.spec(dimension=decided.dimension, weights=preset or name or UNNAMED)
    features = FeatureStore.open_or_create(store, spec, dtype)
    summary = ImportSummary(
        store=str(store),
        layout=str(decided),
        timing=str(timing),
        matched_by=dict(matching.rules),
        unmatched_files=[str(source) for source in matching.unmatched],
        videos_without_features=matching.without,
        other_files=[str(path) for path in found.other_files],
        squeezed=squeezed,
    )
    job = _Job(features, decided, timing, {} if annotated is None else annotated.videos, key)
    _run(job, matching.targets, summary, on_error=on_error, workers=workers)
    summary.seconds = time.monotonic() - started_s
    return summary


def _refuse_with_preset(preset: str, options: Mapping[str, object]) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise UsageError(
            f"--preset {preset} states that already: leave out {', '.join(given)}",
            hint="`asl-kit import-features --list-presets` shows what it states; or give all options and no preset",
        )


def _check_against_annotations(timing: Timing, annotations: Path | None) -> None:
    if annotations is not None:
        return
    if timing.resized:
        raise UsageError("resized features need each video's duration", hint="give --annotations")
    if timing.fps is None:
        raise UsageError("the videos' frame rate is not known", hint="give --fps, or --annotations that state it")


def _refuse_no_match(matching: Matching, annotated: AnnotationSet) -> None:
    files = ", ".join(repr(source.name) for source in matching.unmatched[:3])
    ids = ", ".join(repr(video_id) for video_id in list(annotated.videos)[:3])
    raise FeatureError(
        f"no file matches a video: files are named {files}, videos {ids}",
        hint="--prefix and --suffix say what file names have around the video's id",
    )


def _refuse_no_frame_rates(matching: Matching, annotated: AnnotationSet) -> None:
    matched = [target.video_id for targets in matching.targets.values() for target in targets]
    if all(annotated.videos[video_id].fps is None for video_id in matched):
        raise UsageError("the annotations state no frame rate, which windows are counted by", hint="give --fps")


def _shapes(sources: list[Source], key: str | None) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Return the two axes of every readable file that has a layout of its own, and the files with more axes."""
    shapes: dict[str, tuple[int, int]] = {}
    squeezed = []
    with progress_bar("look", len(sources)) as bar:
        for source in sources:
            bar.advance()
            try:
                shape = read_shape(source, key)
            except FeatureError:
                continue  # it fails again, by name, when it is its turn
            axes = None if shape is None else two_axes(shape)
            if shape is None or axes is None or 0 in axes:
                continue
            shapes[str(source)] = axes
            if len(shape) > 2:
                squeezed.append(f"{source}: {shape}")
    return shapes, squeezed


def _layout(
    shapes: dict[str, tuple[int, int]],
    sources: list[Source],
    key: str | None,
    *,
    dimension: int | None,
    layout: str | None,
) -> Layout:
    """Decide the layout by the files' shapes, or by a table's first where there are only tables: its rows are time."""
    if shapes:
        return find_layout(shapes, dimension=dimension, layout=layout)
    first: FeatureError | None = None
    for source in sources:
        try:
            values = read(source, key)
            if values.ndim == 2 and values.size:
                return find_layout({str(source): values.shape}, dimension=dimension, layout=layout or TIME_FIRST)
            raise FeatureError(f"{source}: the shape is {values.shape}, expected two axes with something in them")
        except FeatureError as fault:
            first = first or fault
    assert first is not None, "the files were matched, so there is one"
    raise FeatureError(f"none of the {len(sources)} files can be read; the first: {first.message}", hint=first.hint)


@dataclass(frozen=True, slots=True)
class _Job:
    """What the import of one file needs to know."""

    store: FeatureStore
    layout: Layout
    timing: Timing
    videos: Mapping[str, Video]
    key: str | None

    def import_source(self, source: Source, targets: list[Target]) -> list[_Stored]:
        """Read one file and store the features of each of its videos; faults are returned, not raised."""
        started_s = time.monotonic()
        try:
            values = self.layout.arrange(read(source, self.key), str(source))
        except FeatureError as fault:
            return [self._failed(target, fault, started_s) for target in targets]
        stored = []
        for target in targets:
            try:
                stored.append(self._store(source, target, values, started_s))
            except FeatureError as fault:
                stored.append(self._failed(target, fault, started_s))
            started_s = time.monotonic()
        return stored

    def _failed(self, target: Target, fault: FeatureError, started_s: float) -> _Stored:
        self.store.ledger.record(target.video_id, "failed", fault.message, seconds=time.monotonic() - started_s)
        return _Stored(target.video_id, fault=fault)

    def _store(self, source: Source, target: Target, values: NDArray[Any], started_s: float) -> _Stored:
        try:
            encode_id(target.video_id)
        except StoreError as fault:
            raise FeatureError(f"{source}: {fault.message}", hint=fault.hint) from None
        video = self.videos.get(target.video_id)
        video_fps = None if video is None else video.fps
        duration_s = None if video is None else video.duration
        with error_context(f"{source}: video {target.video_id!r}", FeatureError):
            if target.start_s is not None and self.timing.resized:
                raise FeatureError("it is a part of a parent video, whose own duration is not known")
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
        stored = SourceVideo(target.video_id, grid, duration_s or 0.0, video_fps, frames)
        self.store.write(stored, values, seconds=time.monotonic() - started_s)
        return _Stored(target.video_id, grid.length, length)


def _run(
    job: _Job, targets: Mapping[Source, list[Target]], summary: ImportSummary, *, on_error: str, workers: int
) -> None:
    """Import every file of which the store lacks a video; keep `summary` up to date."""
    lengths: list[Length] = []
    with progress_bar("import", sum(map(len, targets.values()))) as bar:
        wanted = []
        for source, of_source in targets.items():
            lacking = [target for target in of_source if target.video_id not in job.store]
            there = [target.video_id for target in of_source if target not in lacking]
            summary.skipped.extend(there)
            bar.advance(len(there))
            if lacking:
                wanted.append((source, lacking))
        for outcome in _in_order(job, wanted, workers):
            bar.advance()
            if outcome.fault is not None:
                if on_error == "stop":
                    raise outcome.fault
                summary.failed[outcome.video_id] = outcome.fault.message
                if len(summary.failed) <= SHOWN:
                    hint = f" ({outcome.fault.hint})" if outcome.fault.hint else ""
                    bar.message(f"failed: {outcome.video_id}: {outcome.fault.message}{hint}")
                continue
            summary.done.append(outcome.video_id)
            summary.features += outcome.features
            if outcome.length is not None:
                lengths.append(outcome.length)
    summary.lengths = [length for length in lengths if not length.fits]
    summary.suggestions = suggest(job.timing, lengths)


def _in_order(job: _Job, wanted: list[tuple[Source, list[Target]]], workers: int) -> Iterator[_Stored]:
    """Yield what became of each video, in order, working on `workers` files at once: waiting for the disk overlaps."""
    if workers <= 1:
        for source, targets in wanted:
            yield from job.import_source(source, targets)
        return
    pending: deque[Future[list[_Stored]]] = deque()
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
