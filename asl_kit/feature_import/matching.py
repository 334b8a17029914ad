"""Matching of feature files to videos, by rules in a fixed order.

1. The file name is the video id.
2. The file name without the given prefix and suffix is the video id.
3. One of these is the video id after ActivityNet's `v_` is added or removed.
4. One of these names the parent video of clips (Ego4D): each clip gets its part.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from asl_kit.annotations.schema import Video
from asl_kit.errors import FeatureError
from asl_kit.feature_import.readers import Source

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Target:
    """A video that receives features."""

    video_id: str
    """Id of the video."""
    start_s: float | None = None
    end_s: float | None = None
    """Position of the video in the parent video of the file; None: the file belongs to the video itself."""


@dataclass
class Matching:
    """Files matched to videos."""

    targets: dict[Source, list[Target]] = field(default_factory=dict)
    """The videos of every matched file."""
    rules: Counter[str] = field(default_factory=Counter)
    """Number of videos matched by each rule."""
    unmatched: list[Source] = field(default_factory=list)
    """Files that match no video."""
    without: list[str] = field(default_factory=list)
    """Videos without a file."""


def match(
    sources: Sequence[Source], videos: Mapping[str, Video] | None, *, prefix: str = "", suffix: str = ""
) -> Matching:
    """Match files to videos; without annotations, every file is a video of the same name.

    Parameters
    ----------
    sources : sequence of Source
        The files.
    videos : mapping of str to Video, optional
        The annotated videos, by id.
    prefix, suffix : str
        Text before and after the id in file names.

    Raises
    ------
    FeatureError
        If two files match the same video.
    """
    matching = Matching()
    clips = _clips_by_parent(videos or {})
    for source in sources:
        if videos is None:
            rule, targets = "name", [Target(_stripped(source.name, prefix, suffix) or source.name)]
        else:
            rule, targets = _targets(source.name, videos, clips, prefix, suffix)
        if targets:
            matching.targets[source] = targets
            matching.rules[rule] += len(targets)
        else:
            matching.unmatched.append(source)
    _refuse_two_files_for_one_video(matching.targets)
    if videos is not None:
        given = {target.video_id for targets in matching.targets.values() for target in targets}
        matching.without = [video_id for video_id in videos if video_id not in given]
    return matching


def _targets(
    name: str, videos: Mapping[str, Video], clips: Mapping[str, list[Target]], prefix: str, suffix: str
) -> tuple[str, list[Target]]:
    names = list(_names(name, prefix, suffix))
    for rule, candidate in names:
        if candidate in videos:
            return rule, [Target(candidate)]
    for _, candidate in names:
        if candidate in clips:
            return "part of the parent video", clips[candidate]
    return "", []


def _names(name: str, prefix: str, suffix: str) -> Iterator[tuple[str, str]]:
    """Yield the ids that a name may stand for, each with the name of the rule."""
    plain = [("name", name)]
    stripped = _stripped(name, prefix, suffix)
    if stripped and stripped != name:
        plain.append(("name without prefix and suffix", stripped))
    yield from plain
    for _, text in plain:
        if text.startswith("v_"):
            yield "name without v_", text.removeprefix("v_")
        else:
            yield "name after v_", f"v_{text}"


def _stripped(name: str, prefix: str, suffix: str) -> str:
    """Return the name without prefix and suffix; empty if it lacks either."""
    if len(name) <= len(prefix) + len(suffix) or not (name.startswith(prefix) and name.endswith(suffix)):
        return ""
    return name[len(prefix) : len(name) - len(suffix)]


def _clips_by_parent(videos: Mapping[str, Video]) -> dict[str, list[Target]]:
    clips: dict[str, list[Target]] = defaultdict(list)
    for video_id, video in videos.items():
        parent, start_s, end_s = (
            video.attributes.get(name) for name in ("parent_video", "parent_start_s", "parent_end_s")
        )
        if isinstance(parent, str) and isinstance(start_s, int | float) and isinstance(end_s, int | float):
            clips[parent].append(Target(video_id, float(start_s), float(end_s)))
    return dict(clips)


def _refuse_two_files_for_one_video(targets: Mapping[Source, Sequence[Target]]) -> None:
    files: dict[str, list[Source]] = defaultdict(list)
    for source, of_source in targets.items():
        for target in of_source:
            files[target.video_id].append(source)
    twice = {video_id: several for video_id, several in files.items() if len(several) > 1}
    if twice:
        lines = [f"{video_id}: {' and '.join(map(str, several))}" for video_id, several in twice.items()]
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        raise FeatureError(
            "\n  ".join([f"{len(twice)} videos have several files", *lines[:_SHOWN], *more]),
            hint="import from a folder that holds one of them, or name one array with --key",
        )
