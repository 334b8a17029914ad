"""FineAction, from `annotations_gt.json` (OpenDataLab, by way of https://github.com/Richard-61/FineAction).

The layout is that of `asl_kit.annotations.converters.activitynet_json`; a video may also have `filename`, `fps`
and `frame_num`, an annotation a `label_id`. The variants of the file in projects derived from ActionFormer,
such as `annotations_gt_af.json` and `fineaction_annotations_gt_filter.json`, are accepted too.

The classes are those of the files, in the order of `label_id` if each class has one id and the ids are 0 to N-1;
otherwise in alphabetical order, as in OpenTAD.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.converters.activitynet_json import convert_published
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.manifests.schema import Manifest


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the JSON file of FineAction."""
    return convert_published(sources, dataset="fineaction", manifest=manifest, report=report)
