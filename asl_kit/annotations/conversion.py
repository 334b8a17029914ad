"""`asl_kit.convert`: find the converter, run it, compare the result with the manifest, and write it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

from rich import box
from rich.table import Table

from asl_kit.annotations.io import without_garbage_collection, write_annotations
from asl_kit.annotations.point_window import PointWindow
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.tiers import ALL_TIERS, TierOptions
from asl_kit.base.plugins import describe, entry_names, find_entry, load_entry, name_with_package, plugin_faults
from asl_kit.base.similar_names import close_matches
from asl_kit.errors import MissingDependencyError, PluginError, UsageError
from asl_kit.manifests.files import find_manifest
from asl_kit.manifests.schema import Manifest

ENTRY_POINT_GROUP = "asl_kit.converters"

Converter = Callable[..., AnnotationSet]
"""``convert(sources, *, manifest, report, ...) -> AnnotationSet``; see `asl_kit.annotations.converters`."""

_STATED = {
    "table": (
        "reads no tables whose columns or encoding can be stated",
        "--column and --encoding are for csv, and for tables of durations beside other formats.",
    ),
    "tiers": ("reads no tiers", "--tier is for the files of annotation tools that have tiers, such as elan."),
    "fps": (
        "reads no frame numbers whose rate can be stated",
        "--fps is for annotations that count frames and do not state their frame rate. Leave it out.",
    ),
    "point_window": (
        "reads no points in time",
        "--point-window is for annotations that have points in time in place of segments. Leave it out.",
    ),
}
"""What a converter does not do that lacks a parameter, and what the option is for."""


def converter_names() -> list[str]:
    """Return the names of all installed converters, sorted."""
    return sorted(entry_names(ENTRY_POINT_GROUP))


def find_converter(name: str) -> Converter:
    """Return the converter of this name, or of the dataset of this name.

    Raises
    ------
    UsageError
        If none is installed (the message lists those that are), or if two packages bring one.
    MissingDependencyError
        If it cannot be imported.
    """
    return _load(_find_entry(name))


def converter_of(dataset: str) -> str:
    """Return the name of the converter that makes a dataset, which may be an alias of the dataset.

    Examples
    --------
    >>> converter_of("activitynet13")
    'activitynet'
    """
    converters = entry_names(ENTRY_POINT_GROUP)
    manifest = None if dataset in converters else find_manifest(dataset)
    names = (manifest.name, *manifest.aliases) if manifest else ()
    return next((name for name in names if name in converters), dataset)


def _find_entry(name: str) -> EntryPoint:
    entry = find_entry(ENTRY_POINT_GROUP, converter_of(name), kind="converter")
    if entry is None:
        names = converter_names()
        close = close_matches(name, names)
        hint = f"Did you mean {close[0]!r}?" if close else "Your own data: csv or activitynet-json."
        raise UsageError(f"no converter named {name!r}; there are: {', '.join(names)}", hint=hint)
    return entry


def _load(entry: EntryPoint) -> Converter:
    converter: Converter = load_entry(entry, kind="converter")
    if not callable(converter):
        raise MissingDependencyError(f"{describe(entry, 'converter')} must be a function, found {converter!r:.60}")
    return converter


def _run(
    entry: EntryPoint,
    sources: Sequence[Path],
    manifest: Manifest | None,
    report: ConversionReport,
    stated: Mapping[str, object],
) -> AnnotationSet:
    """Run a converter; an exception in another package's converter becomes one message that names the package."""
    converter = _load(entry)
    for name in stated.keys() - inspect.signature(converter).parameters:
        fault, hint = _STATED[name]
        raise UsageError(f"the converter {entry.name!r} {fault}", hint=hint)
    with plugin_faults(entry, kind="converter", command="convert"):
        annotations = converter(sources, manifest=manifest, report=report, **stated)
    if not isinstance(annotations, AnnotationSet):
        raise PluginError(
            f"{name_with_package(entry, 'converter')} must return an AnnotationSet, found {annotations!r:.60}"
        )
    return annotations


def datasets_table() -> Table:
    """Return a table of all installed converters, with facts of the manifests about their datasets."""
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
        module = inspect.getmodule(find_converter(name))
    except (MissingDependencyError, UsageError) as error:
        return error.message
    return (getattr(module, "__doc__", None) or "").partition("\n")[0].rstrip(".:")


@without_garbage_collection()
def read_sources(
    dataset: str,
    sources: str | Path | Iterable[str | Path],
    *,
    table: TableOptions = DEFAULT_TABLE,
    tiers: TierOptions = ALL_TIERS,
    fps: float | None = None,
    point_window: PointWindow | None = None,
) -> tuple[AnnotationSet, ConversionReport]:
    """Return the annotations that `convert` writes, and its report; parameters and errors are those of `convert`."""
    paths = _paths(sources)
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"fps: expected frames per second above 0, found {fps:g}")
    entry = _find_entry(dataset)
    manifest = find_manifest(dataset)
    report = ConversionReport(dataset=manifest.name if manifest else dataset)
    options = {
        "table": (table, DEFAULT_TABLE),
        "tiers": (tiers, ALL_TIERS),
        "fps": (fps, None),
        "point_window": (point_window, None),
    }
    stated = {name: value for name, (value, default) in options.items() if value != default}
    annotations = _run(entry, paths, manifest, report, stated)
    report.compare(annotations, manifest)
    report.check_segments()
    return annotations, report


def refuse_to_replace(sources: str | Path | Iterable[str | Path], *outputs: str | Path | None) -> None:
    """Raise a UsageError if a file to write is one of the sources; None: none is written."""
    for path in filter(Path.is_file, _paths(sources)):
        for output in outputs:
            if output is not None and Path(output).exists() and path.samefile(output):
                raise UsageError(f"{output}: is one of the sources, and would be replaced", hint="Name another file.")


def _paths(sources: str | Path | Iterable[str | Path]) -> list[Path]:
    return [Path(source) for source in ([sources] if isinstance(sources, str | Path) else sources)]


def convert(
    dataset: str,
    sources: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    strict: bool = False,
    table: TableOptions = DEFAULT_TABLE,
    tiers: TierOptions = ALL_TIERS,
    fps: float | None = None,
    point_window: PointWindow | None = None,
) -> ConversionReport:
    """Convert a dataset's annotations to the unified format.

    Parameters
    ----------
    dataset : str
        Name of a converter, or of its dataset as in the manifests. If there is a manifest, the result is compared
        with it.
    sources : path or iterable of paths
        Files or folders as the dataset's publisher distributes them.
    output : path
        The annotation file to write.
    strict : bool
        Refuse to write a result that differs from the manifest.
    table : TableOptions
        Columns and encoding of the tables among the sources, where they are not known by themselves.
    tiers : TierOptions
        The tiers to convert, of a tool that has tiers. Default: all, in one vocabulary.
    fps : float, optional
        Frames per second, for annotations that count frames and do not state it.
    point_window : PointWindow, optional
        The segment around each point in time, for annotations that have such.

    Returns
    -------
    ConversionReport
        Counts, and each item that was dropped or changed.

    Raises
    ------
    UsageError
        If there is no such converter, it has no use for an option or needs one, the sources have no tier of a name, or
        the output is one of them.
    PluginError
        If a converter of another package fails.
    MissingFileError
        If a source does not exist.
    AnnotationError
        If a source cannot be converted, if it has segments and none can be kept, or, with `strict`, if there are
        differences.
    OutputError
        If the annotation file cannot be written.

    Examples
    --------
    >>> report = convert("csv", "segments.csv", "annotations.json")
    >>> report.counts["train"].segments
    2
    >>> report.notes
    ["the split of 1 videos is not stated: taken as 'train'"]
    """
    refuse_to_replace(sources, output)
    annotations, report = read_sources(dataset, sources, table=table, tiers=tiers, fps=fps, point_window=point_window)
    if strict:
        report.check_differences()
    write_annotations(annotations, Path(output))
    return report
