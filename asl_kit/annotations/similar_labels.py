"""Labels that look alike but are different classes: `drink`, `Drink`, `DRINK`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from asl_kit.annotations.schema import AnnotationSet
from asl_kit.base.similar_names import fold

MAX_GROUPS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class SimilarLabels:
    """Labels of one vocabulary that differ only in capitals, spaces or underscores."""

    vocabulary: str
    segments: dict[str, int]
    """Number of segments of each label."""


def find_similar_labels(annotations: AnnotationSet) -> list[SimilarLabels]:
    """Return the groups of labels that look alike, in order of the vocabularies."""
    counts = Counter(
        item
        for video in annotations.videos.values()
        for segment in video.segments or ()
        for item in segment.labels.items()
    )
    groups: dict[tuple[str, str], list[str]] = {}
    for vocabulary, labels in annotations.vocabularies.items():
        for label in labels:
            groups.setdefault((vocabulary, fold(label)), []).append(label)
    return [
        SimilarLabels(vocabulary, {label: counts[vocabulary, label] for label in labels})
        for (vocabulary, _), labels in groups.items()
        if len(labels) > 1
    ]


def similar_labels_warning(groups: Sequence[SimilarLabels]) -> str:
    """Return one line that names the labels and their numbers of segments, and says what to do."""
    shown = [
        " and ".join(f"{label!r} ({count})" for label, count in group.segments.items())
        for group in groups[:MAX_GROUPS_SHOWN]
    ]
    more = f"; and {len(groups) - MAX_GROUPS_SHOWN} more (--json FILE lists all)" if len(groups) > len(shown) else ""
    return (
        "labels that differ only in capitals, spaces or underscores are different classes, here with their numbers of"
        f" segments: {'; '.join(shown)}{more}. If they mean the same action, spell them alike and run this again."
    )
