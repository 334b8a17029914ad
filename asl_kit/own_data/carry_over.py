"""What new annotations of a project keep of the earlier ones."""

from __future__ import annotations

from collections.abc import Collection

from asl_kit.annotations import AnnotationSet
from asl_kit.annotations.validation import DURATION_TOLERANCE_S
from asl_kit.errors import UsageError, first_few


def carry_over(
    annotations: AnnotationSet, project: AnnotationSet, readable: Collection[str], *, source: str
) -> AnnotationSet:
    """Return new annotations with the dataset's name, the class order and known durations of earlier ones.

    New classes follow the earlier ones, so the ids of these stay unless a class before them is gone. A
    video whose file cannot be read now keeps the duration and the frame rate that its file stated earlier.

    Parameters
    ----------
    annotations : AnnotationSet
        New annotations of all videos, old and new.
    project : AnnotationSet
        Earlier annotations.
    readable : collection of str
        Ids of the videos with a readable file.
    source : str
        Where the new annotations come from, for messages.

    Raises
    ------
    UsageError
        If no earlier video is in the new annotations.
    """
    known = annotations.videos.keys() & project.videos.keys()
    if not known:
        names = first_few(list(project.videos))
        raise UsageError(
            f"{source}: none of the {len(project.videos)} videos of the project is in it: {names}",
            hint="--update reads the whole table, with the rows of the earlier videos as well as the new ones",
        )
    vocabularies = {}
    for name, labels in annotations.vocabularies.items():
        earlier_labels = [label for label in project.vocabularies.get(name, []) if label in labels]
        vocabularies[name] = [*earlier_labels, *(label for label in labels if label not in earlier_labels)]
    videos = dict(annotations.videos)
    for video_id in known - set(readable):
        video, earlier = videos[video_id], project.videos[video_id]
        ends_s = [item.end for item in (*(video.segments or ()), *video.ignored)]
        if max(ends_s, default=0.0) <= earlier.duration + DURATION_TOLERANCE_S:
            videos[video_id] = video.model_copy(update={"duration": earlier.duration, "fps": earlier.fps})
    return annotations.model_copy(update={"dataset": project.dataset, "vocabularies": vocabularies, "videos": videos})
