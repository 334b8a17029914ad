"""Converters to the unified format, one file each; more are found by the entry point `asl_kit.converters`.

A converter is a function
``convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet``.
`asl_kit.annotations.collector` does what they have in common.
"""
