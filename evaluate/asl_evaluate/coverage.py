"""What a score does not show: videos and classes without predictions, segments without features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from asl_kit.annotations import Video
from asl_kit.errors import first_few
from asl_kit.grid import FeatureGrid


class SegmentPlace(NamedTuple):
    """Where a ground-truth segment lies."""

    video_id: str
    start_s: float
    end_s: float

    def __str__(self) -> str:
        return f"{self.video_id} [{self.start_s:g}, {self.end_s:g})"


@dataclass(frozen=True)
class GridCoverage:
    """The videos and segments of a split that the features do not cover."""

    videos_without_features: tuple[str, ...]
    segments_outside_grid: tuple[SegmentPlace, ...]
    """Segments that no feature overlaps: the times of features and annotations disagree."""
    segments_shorter_than_step: tuple[SegmentPlace, ...]
    """Segments shorter than the time between two features: hard to find at a high tIoU."""

    @classmethod
    def measure(cls, videos: Mapping[str, Video], grids: Mapping[str, FeatureGrid]) -> Self:
        """Compare annotated videos with the grids of those that have features.

        Parameters
        ----------
        videos : mapping of Video
            The split, by id. Videos without annotation are left out.
        grids : mapping of FeatureGrid
            By video id. A missing video has no features.
        """
        annotated = {video_id: video for video_id, video in sorted(videos.items()) if video.segments is not None}
        outside, short = [], []
        for video_id, video in annotated.items():
            grid = grids.get(video_id)
            for segment in video.segments or ():
                place = SegmentPlace(video_id, segment.start, segment.end)
                if grid is None:
                    continue
                if segment.end <= grid.start_s or segment.start >= grid.end_s:
                    outside.append(place)
                elif segment.end - segment.start < grid.step_s:
                    short.append(place)
        without = tuple(video_id for video_id in annotated if video_id not in grids)
        return cls(without, tuple(outside), tuple(short))


@dataclass(frozen=True)
class Coverage:
    """What was scored, and what was left out."""

    videos: int
    """Annotated videos of the split, with or without actions."""
    videos_not_annotated: tuple[str, ...]
    """Their predictions are not scored."""
    videos_never_predicted: tuple[str, ...]
    """Annotated videos of the split without any prediction."""
    segments: int
    """Ground-truth segments that were scored."""
    segments_without_label: int
    """Segments without a label in the scored vocabulary; they are left out."""
    duplicates: str
    """`keep` or `drop`."""
    segments_dropped: int
    """Duplicates and segments under 1 ms, left out by `drop`."""
    classes_without_ground_truth: tuple[str, ...]
    """Classes of the vocabulary that are left out of the mean."""
    classes_never_predicted: tuple[str, ...]
    """Classes with ground truth and no prediction: their AP is 0."""
    predictions: int
    """Predictions that were scored."""
    predictions_outside_split: int
    """Predictions not scored: their videos are not in the split, or not annotated."""
    grid: GridCoverage | None = None
    """None if the features are not known: a predictions file was scored."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict. Its fields on features are null if the features are not known."""
        fields = asdict(self)
        grid = fields.pop("grid") or dict.fromkeys(GridCoverage.__dataclass_fields__)
        places = ("segments_outside_grid", "segments_shorter_than_step")
        for name in places:
            if self.grid is not None:
                grid[name] = [place._asdict() for place in getattr(self.grid, name)]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in (fields | grid).items()}

    def warnings(self) -> list[str]:
        """Return one line for each reason why the score may mislead."""
        found = [
            _line(self.videos_never_predicted, "annotated {video} without any prediction"),
            _line(self.classes_never_predicted, "{class} with ground truth never predicted"),
            _line(
                self.classes_without_ground_truth, "{class} without ground truth in this split, left out of the mean"
            ),
            _line(self.videos_not_annotated, "{video} not annotated, not scored"),
        ]
        if self.grid is not None:
            found += [
                _line(self.grid.videos_without_features, "{video} without features"),
                _line(self.grid.segments_outside_grid, "{segment} outside the time that features cover"),
                _line(self.grid.segments_shorter_than_step, "{segment} shorter than one feature step"),
            ]
        found += [
            _counted(
                self.predictions_outside_split, "{prediction} ignored, as {their} not in the split, or not annotated"
            ),
            _counted(self.segments_without_label, "{segment} without a label in this vocabulary, left out"),
            _counted(self.segments_dropped, "duplicate or very short {segment} dropped from the ground truth"),
        ]
        return [line for line in found if line]


_FORMS = {
    "video": "videos",
    "class": "classes",
    "segment": "segments",
    "prediction": "predictions",
    "their": "their videos are",
}
_ONE = {word: word for word in _FORMS} | {"their": "its video is"}


def _counted(count: int, text: str) -> str:
    return f"{count} {text.format(**(_ONE if count == 1 else _FORMS))}" if count else ""


def _line(items: tuple[str, ...] | tuple[SegmentPlace, ...], text: str) -> str:
    return f"{_counted(len(items), text)}: {first_few(items)}" if items else ""
