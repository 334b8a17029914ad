"""Annotations (docs/glossary.md#annotations): the unified format, checks, statistics, converters and exports."""

from asl_kit.annotations.io import canonical, read_annotations, write_annotations
from asl_kit.annotations.schema import AnnotationSet, IgnoredSegment, Segment, Source, SourceFile, Video, json_schema

__all__ = [
    "AnnotationSet",
    "IgnoredSegment",
    "Segment",
    "Source",
    "SourceFile",
    "Video",
    "canonical",
    "json_schema",
    "read_annotations",
    "write_annotations",
]
