"""ActivityNet 1.2, from `activity_net.v1-2.min.json` (http://activity-net.org/download.html).

The layout is that of ActivityNet 1.3, with 100 classes and a smaller choice of videos: all of
`asl_kit.annotations.converters.activitynet` holds here, relatives of the layout included. Weakly
supervised localization is usually reported on this release.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.converters.activitynet import convert_release
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.manifests.schema import Manifest


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the JSON file of ActivityNet 1.2.

    Raises
    ------
    MissingFileError
        If a file does not exist.
    AnnotationError
        If a file is none of the layouts of ActivityNet.
    """
    return convert_release(
        sources, dataset="activitynet12", converter="activitynet12", manifest=manifest, report=report
    )
