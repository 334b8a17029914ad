"""The differences between earlier and new annotations of a project."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from asl_kit.annotations import AnnotationSet
from asl_kit.annotations.io import canonical, compact
from asl_kit.annotations.schema import Video


@dataclass(frozen=True, slots=True)
class Changes:
    """Differences of annotations, by video."""

    added: dict[str, str]
    """New videos, with their splits."""
    removed: dict[str, str]
    """Videos that are gone, with their earlier splits."""
    splits: dict[str, tuple[str, str]]
    """Videos in another split: the earlier and the new one."""
    segments: dict[str, tuple[int, int]]
    """Earlier videos with other segments: how many are new, and how many are gone."""
    durations_s: dict[str, tuple[float, float]]
    """Earlier videos with another duration: the earlier and the new one."""
    other: list[str]
    """Earlier videos of which something else has changed: a frame rate, a path, an attribute."""
    new_classes: list[str]
    removed_classes: list[str]
    """Class names; with several vocabularies ``vocabulary: name``."""
    class_order: bool
    """Whether a class that remains has another id."""

    @property
    def videos(self) -> list[str]:
        """Ids of the earlier videos that are gone or not as they were, sorted."""
        found = (self.removed, self.splits, self.segments, self.durations_s, self.other)
        return sorted({video_id for group in found for video_id in group})

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def to_json(self) -> dict[str, Any]:
        """Return the changes, JSON-ready."""
        return asdict(self)


def find_changes(earlier: AnnotationSet, now: AnnotationSet) -> Changes:
    """Compare two sets of annotations; their sources and the order of videos and segments do not count.

    Examples
    --------
    >>> from asl_kit.annotations import Source
    >>> def of(*names):
    ...     videos = {name: Video(split="train", duration=9.0, segments=[]) for name in names}
    ...     source = Source(converter="csv", asl_kit="0")
    ...     return AnnotationSet(dataset="own", source=source, vocabularies={"action": ["run"]}, videos=videos)
    >>> find_changes(of("a", "b"), of("b", "c")).added
    {'c': 'train'}
    """
    earlier, now = canonical(earlier), canonical(now)
    then, videos = earlier.videos, now.videos
    both = [video_id for video_id in videos if video_id in then]
    splits, segments, durations_s, other = {}, {}, {}, []
    for video_id in both:
        old, new = then[video_id], videos[video_id]
        if old.split != new.split:
            splits[video_id] = (old.split, new.split)
        if old.segments != new.segments:
            segments[video_id] = _count_changed(old, new)
        if old.duration != new.duration:
            durations_s[video_id] = (old.duration, new.duration)
        rest = {"split": new.split, "segments": new.segments, "duration": new.duration}
        if old.model_copy(update=rest) != new:
            other.append(video_id)
    old_classes, classes = _classes(earlier), _classes(now)
    return Changes(
        added={video_id: video.split for video_id, video in videos.items() if video_id not in then},
        removed={video_id: video.split for video_id, video in then.items() if video_id not in videos},
        splits=splits,
        segments=segments,
        durations_s=durations_s,
        other=other,
        new_classes=[name for name in classes if name not in old_classes],
        removed_classes=[name for name in old_classes if name not in classes],
        class_order=any(classes[name] != place for name, place in old_classes.items() if name in classes),
    )


def _count_changed(old: Video, new: Video) -> tuple[int, int]:
    """Return how many segments are new, and how many are gone; both are 0 if only the fact of annotation changed."""
    before, after = (Counter(compact(segment.model_dump()) for segment in video.segments or ()) for video in (old, new))
    return (after - before).total(), (before - after).total()


def _classes(annotations: AnnotationSet) -> dict[str, int]:
    """Return the id of each class by its name."""
    several = len(annotations.vocabularies) > 1
    return {
        f"{vocabulary}: {label}" if several else label: place
        for vocabulary, labels in annotations.vocabularies.items()
        for place, label in enumerate(labels)
    }
