"""A test split for annotations without one, with the same videos on every run and machine."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping

from asl_kit.annotations import AnnotationSet
from asl_kit.annotations.schema import Video
from asl_kit.dataset.default_splits import evaluation_split, training_split
from asl_kit.errors import AnnotationError

TEST = "test"
SHARE = 0.2
"""Share of the training videos that are drawn."""
LARGEST_SHARE = 1 / 3
"""Share that may be drawn if `SHARE` is not enough for a segment of every class."""


def with_test_split(
    annotations: AnnotationSet,
    usable: Collection[str],
    *,
    project: AnnotationSet | None = None,
    unstated: Collection[str] = (),
) -> tuple[AnnotationSet, str]:
    """Return annotations with a test split, and a note on how it was made.

    Parameters
    ----------
    annotations : AnnotationSet
        Annotations with a training split.
    usable : collection of str
        Ids of the videos with a readable file.
    project : AnnotationSet, optional
        Earlier annotations: a video keeps its split unless the new annotations state another one.
    unstated : collection of str
        Ids of the videos whose split is not stated.

    Raises
    ------
    AnnotationError
        If there is no training split, or it has fewer than two usable videos.
    """
    is_stated = evaluation_split(annotations, [TEST]) is not None
    if project is not None:
        annotations = _with_earlier_splits(annotations, project, unstated, only_test=not is_stated)
    if is_stated:
        return annotations, "as stated: " + ", ".join(sorted({video.split for video in annotations.videos.values()}))
    train = training_split(annotations, "auto")
    splits = (train,) if project is None else (train, TEST)
    candidates = {
        video_id: video
        for video_id, video in annotations.videos.items()
        if video.split in splits and video_id in usable and video.segments is not None
    }
    if len(candidates) < 2:
        raise AnnotationError(
            f"dataset {annotations.dataset}: split {train!r} has {len(candidates)} annotated videos with a readable"
            " file, 2 are needed: one to train on, one to score on",
            hint="cut a long video into two files, or annotate another one",
        )
    kept = {video_id for video_id, video in candidates.items() if video.split == TEST}
    new = candidates.keys() - (project.videos.keys() if project is not None else ())
    drawable = new if kept or new else candidates.keys()
    drawn = draw_test_videos(candidates, kept=kept, drawable=drawable) - kept
    videos = {
        video_id: video.model_copy(update={"split": TEST}) if video_id in drawn else video
        for video_id, video in annotations.videos.items()
    }
    if project is None:
        note = f"{len(drawn)} of the {len(candidates)} videos of split {train!r} were moved to split {TEST!r}"
    elif not drawable:
        return annotations, "as in the project"
    else:
        which = "new" if kept or new else "earlier"
        note = f"as in the project; {len(drawn)} of the {len(drawable)} {which} videos were moved to split {TEST!r}"
    note += (
        ": drawn by the SHA-256 of their ids, rare classes first, so that each class with two or more videos is in both"
        " splits if possible; to choose the split yourself, add a column `split`"
    )
    return annotations.model_copy(update={"videos": videos}), note


def _with_earlier_splits(
    annotations: AnnotationSet, project: AnnotationSet, unstated: Collection[str], *, only_test: bool
) -> AnnotationSet:
    """Return annotations in which videos of the project keep their split if none is stated.

    Without a stated test split, videos of the training split stay in the project's test split.
    """
    train = training_split(annotations, "auto")
    videos = dict(annotations.videos)
    for video_id in videos.keys() & project.videos.keys():
        split = project.videos[video_id].split
        if video_id in unstated or (only_test and split == TEST and videos[video_id].split == train):
            videos[video_id] = videos[video_id].model_copy(update={"split": split})
    return annotations.model_copy(update={"videos": videos})


def draw_test_videos(
    videos: Mapping[str, Video], *, kept: Collection[str] = (), drawable: Collection[str] | None = None
) -> set[str]:
    """Return the ids of the videos to score: a fifth of them, or more if classes would be missing.

    Those of `kept` are among them; others are drawn from `drawable` (default: from all).
    The order of the draw depends only on the ids. First, each class, rare ones
    first, gets a video, up to a third of all; then other videos are drawn up to a
    fifth. The last training video of a class is never drawn.

    Examples
    --------
    >>> videos = {f"video {number}": Video(split="train", duration=9.0, segments=[]) for number in range(10)}
    >>> sorted(draw_test_videos(videos))
    ['video 8', 'video 9']
    """
    drawable = videos.keys() if drawable is None else drawable
    order = sorted(drawable, key=lambda video_id: hashlib.sha256(video_id.encode()).digest())
    classes = {
        video_id: {item for segment in video.segments or () for item in segment.labels.items()}
        for video_id, video in videos.items()
    }
    training = Counter(item for video_id, found in classes.items() if video_id not in kept for item in found)
    wanted = max(1, round(SHARE * len(videos)))
    drawn = set(kept)

    def draw(video_id: str) -> bool:
        """Draw a video, unless it is the last training video of a class."""
        if video_id in drawn or any(training[item] < 2 for item in classes[video_id]):
            return False
        drawn.add(video_id)
        training.subtract(classes[video_id])
        return True

    for item in sorted(training, key=lambda item: (training[item], item)):
        has_room = len(drawn) < max(wanted, int(LARGEST_SHARE * len(videos)))
        if has_room and not any(item in classes[video_id] for video_id in drawn):
            any(draw(video_id) for video_id in order if item in classes[video_id])
    for video_id in order:
        if len(drawn) < wanted:
            draw(video_id)
    # Two videos without a common class: draw one of them anyway.
    return drawn or {order[0]}
