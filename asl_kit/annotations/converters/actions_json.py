"""Class numbers in JSON: the layout used by multi-label work on MultiTHUMOS and Charades.

``{"video": {"subset": "training", "duration": 23.2, "actions": [[class, start, end], ...]}}`` with times
in seconds; subsets are `training` and `testing`. First published with super-events
(https://github.com/piergiaj/super-events-cvpr18), as `multithumos.json`, classes counted from 1, and
`charades.json`, classes counted from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asl_kit.annotations.converters.activitynet_json import has_database
from asl_kit.base.files import read_json
from asl_kit.base.validation import list_errors
from asl_kit.errors import AnnotationError


def read_json_database(path: Path, *, classes: Sequence[str], first_number: int) -> dict[str, Any]:
    """Read a file in this layout or in ActivityNet's, and return it in ActivityNet's.

    Parameters
    ----------
    path : Path
        The file.
    classes : sequence of str
        Names in order of their numbers.
    first_number : int
        Number of the first class.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If it is in neither layout.
    """
    document = read_json(path, AnnotationError)
    if has_database(document):
        return dict(document)
    if not isinstance(document, dict) or not any(isinstance(entry, dict) for entry in document.values()):
        raise AnnotationError(
            f'{path}: expected {{"database": {{video: {{"subset", "duration", "annotations"}}}}}} '
            'or {video: {"subset", "duration", "actions": [[class, start, end]]}}'
        )
    names = dict(enumerate(classes, start=first_number))
    database: dict[str, Any] = {}
    errors: list[str] = []
    for video_id, entry in document.items():
        actions = entry.get("actions") if isinstance(entry, dict) else None
        if not isinstance(actions, list):
            errors.append(f"video {video_id!r}: actions: must be a list of [class, start, end], found {actions!r}")
            continue
        annotations = []
        for index, action in enumerate(actions):
            if not (isinstance(action, list) and len(action) == 3 and type(action[0]) is int):
                place = f"video {video_id!r}: actions.{index}"
                errors.append(f"{place}: must be [class, start, end], found {action!r}")
                continue
            number, start, end = action
            annotations.append({"label": names.get(number, f"class number {number}"), "segment": [start, end]})
        others = {key: value for key, value in entry.items() if key != "actions"}
        database[video_id] = others | {"annotations": annotations}
    if errors:
        raise AnnotationError(f"{path}: {list_errors(errors)}")
    return {"database": database}
