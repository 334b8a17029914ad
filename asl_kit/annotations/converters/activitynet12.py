"""ActivityNet 1.2, from `activity_net.v1-2.min.json` (http://activity-net.org/download.html).

The layout is that of ActivityNet 1.3, with 100 classes and fewer videos. Everything that
`asl_kit.annotations.converters.activitynet` says applies here too, including the variants of the layout. Weakly
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
    """Convert the JSON file of ActivityNet 1.2, or a variant of it."""
    return convert_release(sources, dataset="activitynet12", manifest=manifest, report=report)
