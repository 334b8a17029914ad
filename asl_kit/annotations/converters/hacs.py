"""HACS Segments 1.1.1, from `HACS_segments_v1.1.1.json` (https://github.com/hangzhaomit/HACS-dataset).

The repository's `HACS_v1.1.1.zip` contains two datasets. HACS Segments is in the layout of
`asl_kit.annotations.converters.activitynet_json`, with `subset`, `duration` (seconds, as text:
`"92.166667"`) and `url` for each video; classes and their names are ActivityNet's, ids YouTube's. The
labels of the testing split are withheld: its videos count as not annotated. The JSON files of projects derived from
ActionFormer, such as `HACS_segments_v1.1.1_af.json`, have the same layout with `label_id`.

The other dataset, HACS Clips (`HACS_clips_v1.1.1.csv`), states for clips of two seconds whether they show an
action. It is made for classification, and is not converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.converters.activitynet_json import convert_published
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the JSON file of HACS Segments."""
    for path in sources:
        if path.suffix.lower() == ".csv":
            raise AnnotationError(
                f"{path}: HACS Clips labels clips of two seconds and has no segments",
                hint="Use HACS_segments_v1.1.1.json from the same archive.",
            )
    return convert_published(sources, dataset="hacs", manifest=manifest, report=report)
