"""COIN: 180 tasks from instructional videos, 778 steps.

`COIN.json` (https://coin-dataset.github.io, https://github.com/coin-dataset/annotations) is like ActivityNet's JSON:
``{"database": {id: {"subset", "duration", "class", "recipe_type", "start", "end", "video_url", "annotation": [{"id",
"label", "segment": [start, end]}]}}}`` with times in seconds of the whole video.

- The steps are under `annotation`, and not `annotations`; `label` is the class, `id` (of the step) an attribute. The
  778 steps have 749 labels (`taxonomy.xlsx` of the repository, at 67e3126): steps of several tasks with one label, such
  as "remove the tire", are one class.
- `subset`, training or testing, is the split, `train` or `test`.
- `class` (the task), `recipe_type` (its number), and `start` and `end` (the part of the video that shows it) are
  attributes of the video. `video_url` is not kept.
- Times beyond the video are clipped, and what cannot be is dropped; the report lists both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asl_kit.annotations.converters.activitynet_json import convert_published, read_database, with_keys
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.manifests.schema import Manifest

ATTRIBUTES = {"class": "task", "recipe_type": "recipe_type", "start": "start", "end": "end"}
"""Attribute of the video by its key in the file."""


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert COIN.json."""
    return convert_published(sources, dataset="coin", manifest=manifest, report=report, read=_read)


def _read(path: Path) -> dict[str, Any]:
    return with_keys(read_database(path), annotations="annotation", attributes=ATTRIBUTES)
