"""Ego4D Moment Queries: 110 classes of activities in clips of egocentric videos.

`moments_train.json`, `moments_val.json` and `moments_test_unannotated.json`
(https://ego4d-data.org/docs/benchmarks/episodic-memory/), a list `videos` each:
``{"video_uid", "split", "clips": [{"clip_uid", "video_start_sec", "video_end_sec", "video_start_frame",
"video_end_frame", ..., "annotations": [{"annotator_uid", "labels": [{"label", "primary", "start_time", "end_time",
"video_start_time", "video_end_time", ...}]}]}]}``. Times are in seconds, those of a label from the start of its
clip, those of `video_...` from the start of the video. Give the files, or their folder. As in the official baseline
(`Convert_annotation.py` of https://github.com/EGO4D/episodic-memory):

- a clip becomes a video with the id `clip_uid` and the duration `video_end_sec - video_start_sec`; the attributes
  `parent_video`, `parent_start_s` and `parent_end_s` state which part of which video it is;
- labels of all annotators are kept, including equal ones; the attribute `annotator` identifies the annotator;
- only primary labels count. Other labels, and clips of the annotated splits without a primary label, are excluded.

Other JSON files: ActionFormer's `ego4d.json` and OpenTAD's `ego4d_v2_220429.json`
(`asl_kit.annotations.converters.activitynet_json`), and the `ego4d_clip_annotations.json` of ASL's authors
(https://github.com/JonnyS1226/ego4d_asl, 4ffbce5): ``{clip: {"video_id", "clip_id", "duration",
"parent_start_sec", "parent_end_sec", "fps", "annotations": [{"segment", "label", "label_id"}], "subset"}}``,
in which `fps` is the rate of the features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from asl_kit.annotations.collector import ACTION, Collector, as_number
from asl_kit.annotations.converters.activitynet_json import convert_published, has_database
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet, Name
from asl_kit.annotations.sources import find_files
from asl_kit.annotations.validation import DURATION_TOLERANCE_S
from asl_kit.base.files import read_json
from asl_kit.base.validation import StrictModel, validate
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

NAME = "ego4d-mq"
FILES = ("moments_train.json", "moments_val.json", "moments_test_unannotated.json")
PLAUSIBLE_FPS = (10.0, 100.0)
"""ActionFormer and OpenTAD exclude clips whose numbers of frames and seconds give another rate."""
_NOT_PRIMARY = "not a primary label: the benchmark does not count it"


class _Layout(StrictModel):
    """A table of the official files: the keys that are used; others are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _Label(_Layout):
    label: Name
    primary: bool
    start_time: Any
    end_time: Any
    video_start_time: Any = None
    video_end_time: Any = None


class _Annotator(_Layout):
    annotator_uid: str | None = None
    labels: list[_Label]


_Frame = Annotated[int, Field(ge=-(2**53), le=2**53)]


class _Clip(_Layout):
    clip_uid: Name
    video_start_sec: float
    video_end_sec: float
    video_start_frame: _Frame | None = None
    video_end_frame: _Frame | None = None
    annotations: list[_Annotator] | None = None


class _Video(_Layout):
    video_uid: Name
    split: Name
    clips: list[_Clip]


class _Moments(_Layout):
    videos: list[_Video] = Field(min_length=1)


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the official files, or other JSON files, of Ego4D Moment Queries."""
    files = find_files(sources, FILES, beside=["*"])
    documents = {path: read_json(path, AnnotationError) for path in files}
    official = [isinstance(document, dict) and "videos" in document for document in documents.values()]
    if not any(official):
        databases = {path: _as_database(document, path, report) for path, document in documents.items()}
        return convert_published(files, dataset=NAME, manifest=manifest, report=report, read=databases.__getitem__)
    collector = Collector(report, mend=True, manifest=manifest)
    for path, document in documents.items():
        for index, video in enumerate(validate(_Moments, document, source=str(path), error=AnnotationError).videos):
            for number, clip in enumerate(video.clips):
                place = f"videos.{index}.clips.{number}."
                _collect_clip(collector, video, clip, str(path), place)
    return collector.finish(files, dataset=NAME)


def _collect_clip(collector: Collector, video: _Video, clip: _Clip, where: str, place: str) -> None:
    """Pass a clip and its primary labels to the collector, and report the other labels."""
    clip_id, report, manifest = clip.clip_uid, collector.report, collector.manifest
    labels = [
        (f"{place}annotations.{number}.labels.{index}.", annotator.annotator_uid, label)
        for number, annotator in enumerate(clip.annotations or ())
        for index, label in enumerate(annotator.labels)
    ]
    for prefix, _, label in labels:
        if not label.primary:
            report.segments_read += 1
            report.exclude("segment", clip_id, where, f"{prefix}primary: {_NOT_PRIMARY}")
    primary = [item for item in labels if item[-1].primary]
    expected = manifest.expected.get(video.split) if manifest else None
    is_annotated = clip.annotations is not None and (expected is None or expected.annotated)
    if is_annotated and not primary:
        report.videos_read += 1
        report.exclude("video", clip_id, where, f"{place}annotations: no primary label: not part of the benchmark")
        return
    duration_s = clip.video_end_sec - clip.video_start_sec
    if duration_s <= 0:
        text = f"{place}video_end_sec: must be after video_start_sec ({clip.video_start_sec!r})"
        collector.error(where, f"{text}, found {clip.video_end_sec!r}", video_id=clip_id)
        return
    fps, frames = _frame_rate(report, clip, duration_s, where, place)
    attributes = {
        "parent_video": video.video_uid,
        "parent_start_s": clip.video_start_sec,
        "parent_end_s": clip.video_end_sec,
    }
    collector.video(
        clip_id, where, split=video.split, duration=duration_s, fps=fps, frames=frames, attributes=attributes
    )
    for prefix, annotator, label in primary:
        _flag_other_times(report, clip, label, where, prefix)
        collector.segment(
            clip_id,
            where,
            start=label.start_time,
            end=label.end_time,
            labels={ACTION: label.label},
            attributes={} if annotator is None else {"annotator": annotator},
            prefix=prefix,
        )


def _frame_rate(
    report: ConversionReport, clip: _Clip, duration_s: float, where: str, place: str
) -> tuple[float | None, int | None]:
    """Return the frame rate and the number of frames of a clip, or None for both if they cannot be right."""
    if clip.video_start_frame is None or clip.video_end_frame is None:
        return None, None
    frames = clip.video_end_frame - clip.video_start_frame
    fps = round(frames / duration_s, 2)
    if PLAUSIBLE_FPS[0] <= fps <= PLAUSIBLE_FPS[1]:
        return fps, frames
    text = f"{place}video_end_frame: {frames} frames in {duration_s:.2f} s are not kept; ActionFormer leaves it out"
    report.flag("video", clip.clip_uid, where, text)
    return None, None


def _flag_other_times(report: ConversionReport, clip: _Clip, label: _Label, where: str, prefix: str) -> None:
    """Report a label whose times in the clip and in the video differ."""
    for name, in_clip, in_video in (
        ("start_time", label.start_time, label.video_start_time),
        ("end_time", label.end_time, label.video_end_time),
    ):
        time_s, video_time_s = as_number(in_clip), as_number(in_video)
        if time_s is None or video_time_s is None:
            continue
        if abs(video_time_s - clip.video_start_sec - time_s) > DURATION_TOLERANCE_S:
            text = f"{prefix}{name}: {time_s!r} in the clip, but {video_time_s!r} in the video; the former is kept"
            report.flag("segment", clip.clip_uid, where, text)


def _as_database(document: Any, path: Path, report: ConversionReport) -> dict[str, Any]:
    """Return a document in ActivityNet's layout or in that of ASL's authors, in ActivityNet's layout."""
    if has_database(document):
        if any(
            isinstance(entry, dict) and entry.get("subset") == "training" for entry in document["database"].values()
        ):
            report.note(
                f"{path.name}: subsets as in ActionFormer's file, whose times begin up to half a second before the clip"
            )
        return dict(document)
    entries = document if isinstance(document, dict) else {}
    if not any(isinstance(entry, dict) and "parent_start_sec" in entry for entry in entries.values()):
        raise AnnotationError(
            f'{path}: expected {{"videos": [{{"video_uid", "split", "clips"}}]}}, {{"database": {{...}}}} or '
            '{clip: {"video_id", "parent_start_sec", "parent_end_sec", "duration", "subset", "annotations"}}'
        )
    moved = {"video_id": "parent_video", "parent_start_sec": "parent_start_s", "parent_end_sec": "parent_end_s"}
    left_out = (*moved, "clip_id", "fps")
    database = {
        clip_id: {key: value for key, value in entry.items() if key not in left_out}
        | {"attributes": {name: entry[key] for key, name in moved.items() if key in entry}}
        if isinstance(entry, dict)
        else entry
        for clip_id, entry in entries.items()
    }
    report.note(f"{path.name}: key 'fps' is the rate of features, and is not kept")
    return {"database": database}
