"""ActivityNet 1.3, from `activity_net.v1-3.min.json` (http://activity-net.org/download.html).

ActionFormer's and OpenTAD's files of the same layout are taken too. The labels of the
testing split are withheld: its videos count as not annotated, though the file gives
them empty lists. Segments without length are dropped and those that end after their
video are clipped; the report lists both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.converters.activitynet_json import convert_published
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.manifest import Manifest


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the JSON file of ActivityNet.

    Raises
    ------
    MissingFileError
        If the file does not exist.
    AnnotationError
        If it is not of ActivityNet's layout.
    """
    name = manifest.name if manifest else "activitynet"
    return convert_published(sources, dataset=name, converter="activitynet", manifest=manifest, report=report)
