"""`asl-kit convert`: find the converter, run it, hold the result against the manifest, write it."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

from rich import box
from rich.table import Table

from asl_kit.annotations.io import without_garbage_collection, write_annotations
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.base.files import write_text
from asl_kit.base.plugins import entry_names, find_entry, is_own, load_entry, package_of
from asl_kit.errors import AnnotationError, AslKitError, ConverterError, MissingDependencyError, UsageError
from asl_kit.manifests.files import find_manifest
from asl_kit.manifests.schema import Manifest

ENTRY_POINT_GROUP = "asl_kit.converters"

Converter = Callable[..., AnnotationSet]
"""``convert(sources, *, manifest, report) -> AnnotationSet``"""


def converter_names() -> list[str]:
    """Return the names of all installed converters, sorted."""
    return sorted(entry_names(ENTRY_POINT_GROUP))


def find_converter(name: str) -> Converter:
    """Return the converter of this name.

    Raises
    ------
    UsageError
        If none is installed (the message lists those that are), or if two packages bring one.
    MissingDependencyError
        If it cannot be imported.
    """
    return _load(_find_entry(name))


def _find_entry(name: str) -> EntryPoint:
    entry = find_entry(ENTRY_POINT_GROUP, name, kind="converter")
    if entry is None:
        names = converter_names()
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else "Your own data: csv or activitynet-json."
        raise UsageError(f"no converter named {name!r}; there are: {', '.join(names)}", hint=hint)
    return entry


def _load(entry: EntryPoint) -> Converter:
    converter: Converter = load_entry(entry, kind="converter")
    return converter


def _run(
    entry: EntryPoint, sources: Sequence[Path], manifest: Manifest | None, report: ConversionReport
) -> AnnotationSet:
    """Run a converter; what goes wrong in another package's is one message that names the package."""
    converter = _load(entry)
    who = f"the converter {entry.name!r} of the package {package_of(entry)}"
    try:
        annotations = converter(sources, manifest=manifest, report=report)
    except (AslKitError, OSError):
        raise
    except Exception as error:
        if is_own(entry):
            raise  # a bug of ours: its traceback says more
        raise ConverterError(
            f"{who} failed: {type(error).__name__}: {error}",
            hint="Show its authors what `asl-kit --debug convert ...` prints.",
        ) from error
    if not isinstance(annotations, AnnotationSet):
        raise ConverterError(f"{who} must return an AnnotationSet, found {annotations!r:.60}")
    return annotations


def datasets_table() -> Table:
    """Return a table of all installed converters, with what the manifests say of their datasets."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("dataset", "what it is", "splits: videos", "classes"):
        table.add_column(name, no_wrap=name != "what it is")
    for name in converter_names():
        manifest = find_manifest(name)
        if manifest is None:
            table.add_row(name, _describe(name), "", "")
            continue
        splits = [
            split if counts.videos is None else f"{split}: {counts.videos:,}"
            for split, counts in manifest.expected.items()
        ]
        classes = {vocabulary: len(labels) for vocabulary, labels in manifest.vocabularies.items()}
        counted = [f"{count} {name}" for name, count in (classes | manifest.expected_classes).items()]
        table.add_row(name, f"{manifest.title}\n{manifest.home}", "\n".join(splits), "\n".join(counted))
    return table


def _describe(name: str) -> str:
    """Return the first line of a converter's module, or why it cannot be loaded."""
    try:
        module = sys.modules[find_converter(name).__module__]
    except MissingDependencyError as error:
        return error.message
    return (module.__doc__ or "").partition("\n")[0].rstrip(".:")


@without_garbage_collection()
def convert(
    dataset: str,
    sources: Sequence[Path],
    output: Path,
    *,
    report_path: Path | None = None,
    strict: bool = False,
) -> ConversionReport:
    """Convert a dataset's annotations to the unified format.

    Parameters
    ----------
    dataset : str
        Name of a converter; if a manifest has this name or alias, its counts are expected.
    sources : sequence of Path
        What the dataset's publisher distributes.
    output : Path
        The annotation file to write.
    report_path : Path, optional
        Where to write the report, as JSON.
    strict : bool
        Refuse to write a result that differs from the manifest.

    Returns
    -------
    ConversionReport
        Counts, and each dropped or changed item.

    Raises
    ------
    UsageError
        If there is no such converter.
    ConverterError
        If a converter of another package fails.
    MissingFileError
        If a source does not exist.
    AnnotationError
        If a source cannot be converted, or, with `strict`, if there are differences.
    """
    entry = _find_entry(dataset)
    manifest = find_manifest(dataset)
    report = ConversionReport(dataset=manifest.name if manifest else dataset)
    annotations = _run(entry, sources, manifest, report)
    report.compare(annotations, manifest)
    if report_path is not None:
        write_text(report_path, json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n")
    if strict and report.differences:
        lines = "\n  ".join(report.differences)
        raise AnnotationError(
            f"--strict: {len(report.differences)} difference{'s' if len(report.differences) > 1 else ''}\n  {lines}",
            hint="Nothing was written. Without --strict the file is written and the differences are printed.",
        )
    write_annotations(annotations, output)
    return report
