"""YouCook2: the steps of recipes in cooking videos, each described by a sentence.

The files (http://youcook2.eecs.umich.edu/download) are like ActivityNet's JSON:

- `youcookii_annotations_trainval.json`: ``{"database": {id: {"subset", "duration", "recipe_type", "video_url",
  "annotations": [{"id", "segment": [start, end], "sentence"}]}}}`` with times in seconds;
- `youcookii_annotations_test_segments_only.json`: the same without sentences.

There are no classes, only sentences: every step has the class `step`, as in procedure segmentation, and the attributes
`sentence` and `id`. `recipe_type` (one of 89 recipes) is an attribute of the video; `video_url` is not kept. Subsets
training, validation and testing are the splits `train`, `val` and `test`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asl_kit.annotations.converters.activitynet_json import (
    annotations_of,
    convert_published,
    read_database,
    with_keys,
)
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.manifests.schema import Manifest

STEP = "step"
"""The only class."""


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the JSON files of YouCook2."""
    report.note(f"all steps have the class {STEP!r}, and their sentences as an attribute")
    return convert_published(sources, dataset="youcook2", manifest=manifest, report=report, read=_read)


def _read(path: Path) -> dict[str, Any]:
    document = with_keys(read_database(path), annotations="annotations", attributes={"recipe_type": "recipe_type"})
    for entry in document["database"].values():
        for annotation in annotations_of(entry):
            annotation.setdefault("label", STEP)
    return document
