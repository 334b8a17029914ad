"""Converters to the unified format, one file for each; others are found by the entry point `asl_kit.converters`.

A converter is a function
``convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet``.
If users may state columns and encoding of tables that it reads, it has a further parameter, ``table: TableOptions``;
if its files have tiers of which users may choose, ``tiers: TierOptions``.
It reads files, or folders with files, in its layout, passes what it reads to `asl_kit.annotations.collector`, and
records in the report what it leaves out or changes. `manifest` holds the facts of a published dataset. A converter
raises `MissingFileError` for a source that does not exist, and `AnnotationError` for a source that is in no layout it
knows or that cannot be converted; the message lists all errors with file, place and video.
"""
