"""Mistakes in predictions that would only show as a low score: units, video ids, labels, scores.

The check compares predictions with what is known of the videos. It mends what has one explanation only.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asl_kit.annotations import AnnotationSet, Video
from asl_kit.annotations.video_names import file_name, split_name
from asl_kit.base.console import err, warn
from asl_kit.base.similar_names import fold
from asl_kit.detections.table import Detections
from asl_kit.errors import PredictionError, first_few

NAME_PREFIX = "v_"
"""ActivityNet's files are named `v_ID.mp4`; some tools keep the prefix, others remove it."""
END_TOLERANCE_S = 1.0
END_TOLERANCE = 0.02
"""Share of the duration. Durations are rounded or exclude the last frames, and the last window of frames is padded,
so a segment may end this far beyond the end: `END_TOLERANCE_S` or this, whichever is longer."""
LOWER_BOUND_TOLERANCE = 2.0
"""As `END_TOLERANCE`, where the duration is the end of the last annotated segment: the video may be longer."""
MIN_SHARE_BEYOND = 0.01
"""A smaller share of segments beyond the end does not change a score visibly, unless they also start there."""
MIN_SHARE_WRONG_UNIT = 0.5
"""Times in another unit put nearly all segments beyond the end; a fault in some videos does not."""
MIN_SHARE_FITTING = 0.99
"""In the right unit, the segments lie within their videos, except for a few that a detector put beyond the end."""
MIN_REACH = 0.1
"""In the right unit, some segment ends after this share of its video; otherwise the unit explains too little."""
MANY = 20
"""Of so many segments, some end after `MIN_REACH_OF_MANY` of their video: a hundredth of a second is no millisecond."""
MIN_REACH_OF_MANY = 0.3
MIN_SHARE_FAULTY = 0.01
"""A smaller share of repeated or empty segments does not change a score visibly."""
MIN_FRACTIONS = 3
"""One or two segments may really lie in the first second of their video."""
MIN_ODDS = 1000.0
"""A segment anywhere in a video of d seconds is in its first second with probability 1 / d, and so are those of several
videos with the product. Fractions are certain if that is below 1 / `MIN_ODDS`."""
MIN_DURATION_OF_FRACTIONS_S = 5.0
"""In shorter videos, segments that end within the first second are common."""
MIN_EQUAL_SCORES = 10
"""Fewer equal scores are common in small files."""
NAMES_SHOWN = 3

Severity = Literal["error", "warning", "remark"]
Unit = Literal["milliseconds", "frame numbers", "fractions of the video"]


class VideoLength(NamedTuple):
    """What is known of the length of a video."""

    duration_s: float
    fps: float | None = None
    is_lower_bound: bool = False
    """Whether the video may be longer."""

    @classmethod
    def of(cls, video: Video) -> VideoLength:
        """Return the length of an annotated video."""
        fps = video.fps or (video.frames / video.duration if video.frames else None)
        last_s = max((segment.end for segment in video.segments or ()), default=0.0)
        return cls(video.duration, fps, is_lower_bound=last_s >= video.duration)

    @property
    def limit_s(self) -> float:
        """The latest plausible end of a segment."""
        share = LOWER_BOUND_TOLERANCE if self.is_lower_bound else END_TOLERANCE
        return self.duration_s + max(END_TOLERANCE_S, share * self.duration_s)


@dataclass(frozen=True)
class Finding:
    """One kind of mistake."""

    kind: Literal["times", "videos", "labels", "scores", "repeats"]
    severity: Severity
    """error: nothing can be scored; warning: the score is lower than it should be; remark: perhaps intended."""
    message: str
    hint: str | None = None
    names: tuple[str, ...] = ()
    """The videos or classes concerned."""
    is_mendable: bool = False
    """Whether `mend` mends some of it."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return asdict(self) | {"names": list(self.names)}


@dataclass(frozen=True)
class PredictionCheck:
    """What was found, and what can be mended with certainty."""

    findings: tuple[Finding, ...]
    unit: Unit | None = None
    """The unit of the times, if it is certain and not seconds."""
    units_per_second: NDArray[np.float64] | None = None
    """(V,), by video of the predictions: a time divided by this is in seconds. NaN: not known."""
    videos: Mapping[str, str] = field(default_factory=dict)
    """The right id by wrong id."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The right class name by wrong name."""


def check_predictions(
    detections: Detections,
    annotations: AnnotationSet,
    *,
    split: str | None = None,
    classes: Collection[str] | None = None,
) -> PredictionCheck:
    """Compare predictions with annotations.

    Parameters
    ----------
    detections : Detections
        The predictions.
    annotations : AnnotationSet
        The videos; labels may be withheld.
    split : str, optional
        The split that the predictions are for. Default: all videos.
    classes : collection of str, optional
        Names that labels may have. Default: labels are not checked.
    """
    right_ids = _similar(detections.video_ids, annotations.videos, (_same_id, _same_file))
    videos = _one_to_one(right_ids, detections.video_ids)
    lengths = {
        name: VideoLength.of(annotations.videos[known])
        for name in detections.video_ids
        if (known := videos.get(name, name)) in annotations.videos
    }
    times, unit, units_per_second = _check_times(detections, lengths)
    names = [] if classes is None else [detections.class_names[label] for label in np.unique(detections.label).tolist()]
    right_labels = _similar(names, classes or (), (fold,))
    labels = _one_to_one(right_labels, detections.class_names)
    findings = [
        *_check_videos(detections, annotations, split, right_ids, videos),
        *times,
        *_check_start_and_length(detections),
        *(_check_labels(names, classes, right_labels, labels) if classes is not None else ()),
        *_check_scores(detections.score),
        *_check_repeats(detections),
    ]
    return PredictionCheck(tuple(findings), unit, units_per_second, videos, labels)


def check_lengths(detections: Detections, lengths: Mapping[str, VideoLength]) -> list[Finding]:
    """Check times and scores of predictions without annotations.

    Parameters
    ----------
    detections : Detections
        The predictions.
    lengths : mapping of str to VideoLength
        Lengths of videos by id. Times in other videos are not checked.
    """
    times = [replace(finding, is_mendable=False) for finding in _check_times(detections, lengths)[0]]
    return [*times, *_check_start_and_length(detections), *_check_scores(detections.score), *_check_repeats(detections)]


def mend(detections: Detections, check: PredictionCheck) -> Detections:
    """Return the predictions with what `check` found certain put right; everything else stays as it is."""
    times = {"start_s": detections.start_s, "end_s": detections.end_s}
    if check.units_per_second is not None:
        units = np.where(np.isnan(check.units_per_second), 1.0, check.units_per_second)[detections.video]
        times = {name: values / units for name, values in times.items()}
    return replace(
        detections,
        **times,  # type: ignore[arg-type]  # the two columns
        video_ids=tuple(check.videos.get(name, name) for name in detections.video_ids),
        class_names=tuple(check.labels.get(name, name) for name in detections.class_names),
    )


def report_findings(findings: Iterable[Finding], source: object, *, annotations: object = None) -> None:
    """Print findings on stderr, a line each, and how to mend `source` if `annotations`, a file too, is given.

    Raises
    ------
    PredictionError
        If one is an error.
    """
    findings = list(findings)
    command = ""
    if annotations is not None and any(finding.is_mendable for finding in findings):
        command = shlex.join(["asl-kit", "check", str(source), "--annotations", str(annotations), "-o", "mended.json"])
    for finding in findings:
        if finding.severity == "error":
            hint = f"{finding.hint} To mend: {command}" if finding.is_mendable and command else finding.hint
            raise PredictionError(f"{source}: {finding.message}", hint=hint)
    for finding in findings:
        warn(err(), f"{source}: {finding.message}", what=finding.severity)
    if command:
        err().print(f"hint: to mend: {command}")


def _same_id(name: str) -> str:
    return name.casefold().removeprefix(NAME_PREFIX)


def _same_file(name: str) -> str:
    return _same_id(split_name(file_name(name) or name)[0])


def _similar(names: Iterable[str], known: Collection[str], keys: Sequence[Callable[[str], str]]) -> dict[str, str]:
    """Return the known name of each unknown name that shares a key with exactly one; the first such key counts."""
    known = known if isinstance(known, Mapping) else frozenset(known)
    unknown = [name for name in names if name not in known]
    found: dict[str, str] = {}
    for key in keys if unknown else ():
        by_key: dict[str, list[str]] = {}
        for name in known:
            by_key.setdefault(key(name), []).append(name)
        for name in unknown:
            same = by_key.get(key(name), [])
            if len(same) == 1:
                found.setdefault(name, same[0])
    return found


def _one_to_one(right_names: Mapping[str, str], present: Iterable[str]) -> dict[str, str]:
    """Return the renamings that do not merge two names."""
    counts = Counter([*present, *right_names.values()])
    return {name: right for name, right in right_names.items() if counts[right] == 1}


def _check_videos(
    detections: Detections,
    annotations: AnnotationSet,
    split: str | None,
    right_ids: Mapping[str, str],
    mendable: Mapping[str, str],
) -> list[Finding]:
    predicted = [detections.video_ids[number] for number in np.unique(detections.video).tolist()]
    unknown = tuple(name for name in predicted if name not in annotations.videos)
    is_mendable = any(name in mendable for name in unknown)
    if unknown and len(unknown) == len(predicted):
        similar = next((name for name in unknown if name in right_ids), None)
        hint = (
            f"the annotations have {_some(list(annotations.videos))}"
            if similar is None
            else f"did you mean '{right_ids[similar]}' for '{similar}'?"
        )
        message = f"none of the predicted videos ({len(unknown):,}) is in the annotations: {_some(unknown)}"
        return [Finding("videos", "error", message, hint, unknown, is_mendable)]
    findings = []
    if unknown:
        message = f"{len(unknown):,} of {len(predicted):,} predicted videos not in the annotations: "
        findings.append(Finding("videos", "warning", message + _some(unknown, right_ids), None, unknown, is_mendable))
    known = tuple(name for name in predicted if name in annotations.videos)
    splits = sorted({annotations.videos[name].split for name in known})
    if known and split is not None and split not in splits:
        message = (
            f"none of the predicted videos ({len(predicted):,}) is in split '{split}', but in: {', '.join(splits)}"
        )
        findings.append(Finding("videos", "error", message, f"choose the split with --split {splits[0]}", known))
    return findings


def _check_labels(
    names: Sequence[str], classes: Collection[str], right_labels: Mapping[str, str], mendable: Mapping[str, str]
) -> list[Finding]:
    known = frozenset(classes)
    unknown = tuple(name for name in names if name not in known)
    if not unknown:
        return []
    message = f"{len(unknown)} of {len(names)} predicted classes not in the annotations: {_some(unknown, right_labels)}"
    hint = "predictions and annotations must be of the same dataset and vocabulary"
    is_mendable = any(name in mendable for name in unknown)
    return [Finding("labels", "error", message, None if right_labels else hint, unknown, is_mendable)]


def _check_scores(score: NDArray[np.float64]) -> list[Finding]:
    if not len(score):
        return []
    low, high = float(score.min()), float(score.max())
    if low == high and len(score) >= MIN_EQUAL_SCORES:
        return [
            Finding(
                "scores", "remark", f"all {len(score):,} scores are {low:g}: the order of the segments is arbitrary"
            )
        ]
    if low < 0 or high > 1:
        outside = int(np.count_nonzero((score < 0) | (score > 1)))
        message = f"{outside:,} of {len(score):,} scores are outside [0, 1]: they are between {low:g} and {high:g}"
        return [Finding("scores", "remark", message)]
    return []


def _check_repeats(detections: Detections) -> list[Finding]:
    key = np.zeros(len(detections), np.uint64)
    for column in (detections.video, detections.label, detections.start_s, detections.end_s, detections.score):
        key = (key ^ column.astype(np.float64).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(32)
    repeated = len(key) - len(np.unique(key))  # of 64 bits: a million rows are equal by chance once in 10^7 files
    if not repeated:
        return []
    message = (
        f"{repeated:,} of {len(key):,} segments repeat another one with the same times, label and score: "
        "each is scored as a false alarm"
    )
    return [Finding("repeats", "warning" if repeated >= MIN_SHARE_FAULTY * len(key) else "remark", message)]


def _check_start_and_length(detections: Detections) -> list[Finding]:
    """Return the findings that need no length of a video."""
    findings = []
    for faulty, what in (
        (detections.end_s <= detections.start_s, "have no length, and cannot be right"),
        (detections.start_s < -END_TOLERANCE_S, "start before their video"),
    ):
        if faulty.any():
            row = int(np.argmax(faulty))
            message = (
                f"{np.count_nonzero(faulty):,} of {len(faulty):,} segments {what}, such as "
                f"{detections.video_ids[detections.video[row]]} [{detections.start_s[row]:.10g}, "
                f"{detections.end_s[row]:.10g})"
            )
            findings.append(Finding("times", "warning" if faulty.mean() >= MIN_SHARE_FAULTY else "remark", message))
    return findings


def _check_times(
    detections: Detections, lengths: Mapping[str, VideoLength]
) -> tuple[list[Finding], Unit | None, NDArray[np.float64] | None]:
    """Return the findings, and the unit of the times with units per second by video if it is certain."""
    nothing = VideoLength(np.nan)
    known = [lengths.get(name, nothing) for name in detections.video_ids]
    duration_s = np.array([length.duration_s for length in known], np.float64)  # (V,)
    limit_s = np.array([length.limit_s for length in known], np.float64)
    fps = np.array([length.fps or np.nan for length in known], np.float64)
    rows = ~np.isnan(duration_s)[detections.video]
    video, end_s = detections.video[rows], detections.end_s[rows]
    if not len(video):
        return [], None, None
    beyond = end_s > limit_s[video]
    units: dict[Unit, NDArray[np.float64]] = {}
    if np.mean(beyond) >= MIN_SHARE_WRONG_UNIT:
        units = {"milliseconds": np.full(len(known), 1000.0), "frame numbers": fps}
    elif (
        len(detections) >= MIN_FRACTIONS
        and np.max(detections.end_s) <= 1
        and np.min(duration_s[video]) >= MIN_DURATION_OF_FRACTIONS_S
    ):
        units = {"fractions of the video": 1 / duration_s}
    with np.errstate(over="ignore"):
        fitting = {
            unit: per_second
            for unit, per_second in units.items()
            if _fits(end_s / per_second[video], duration_s[video], limit_s[video])
        }
    names = tuple(detections.video_ids[number] for number in np.unique(video[beyond]).tolist())
    found = ""
    if beyond.any():
        row = np.flatnonzero(rows)[np.argmax(beyond)]
        found = (
            f"{np.count_nonzero(beyond):,} of {len(video):,} segments end beyond the end of their video, such as "
            f"{detections.video_ids[detections.video[row]]} [{detections.start_s[row]:.10g}, "
            f"{detections.end_s[row]:.10g}) of {duration_s[detections.video[row]]:.10g} s"
        )
    if fitting:
        fractions = f"all {len(detections):,} segments end within the first second of their video"
        message = f"the times are probably {' or '.join(fitting)}, not seconds: {found or fractions}"
        odds = np.sum(np.log10(duration_s[np.unique(video)]))
        is_certain = len(fitting) == 1 and ("fractions of the video" not in fitting or odds >= np.log10(MIN_ODDS))
        finding = Finding("times", "warning", message, None, names, is_mendable=is_certain)
        return [finding], *(next(iter(fitting.items())) if is_certain else (None, None))
    reach = float(np.max(end_s / duration_s[video]))
    if len(video) >= MANY and reach < MIN_REACH:
        message = f"all {len(video):,} segments end within the first {reach:.2%} of their video: are the times seconds?"
        return [Finding("times", "warning", message)], None, None
    if beyond.any():
        is_grave = np.mean(beyond) >= MIN_SHARE_BEYOND or np.any(detections.start_s[rows] > limit_s[video])
        return [Finding("times", "warning" if is_grave else "remark", found, None, names)], None, None
    return [], None, None


def _fits(end_s: NDArray[np.float64], duration_s: NDArray[np.float64], limit_s: NDArray[np.float64]) -> bool:
    """Return whether segments lie within their videos and reach far enough; false if a time is NaN."""
    min_reach = MIN_REACH if len(end_s) < MANY else MIN_REACH_OF_MANY
    return bool(np.mean(end_s <= limit_s) >= MIN_SHARE_FITTING and np.max(end_s / duration_s) >= min_reach)


def _some(names: Sequence[str], right_names: Mapping[str, str] | None = None) -> str:
    """Return the first names, those with a suggestion first."""
    right_names = right_names or {}
    shown = [
        f"'{name}'" + (f" (did you mean '{right_names[name]}'?)" if name in right_names else "")
        for name in sorted(names, key=lambda name: name not in right_names)
    ]
    return first_few(shown, NAMES_SHOWN)
