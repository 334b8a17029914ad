"""Presets: the published feature sets that manifests describe, named `DATASET/NAME`."""

from __future__ import annotations

from rich.table import Table

from asl_kit.base.similar_names import close_matches
from asl_kit.errors import UsageError
from asl_kit.manifests.files import manifest_paths, read_manifest
from asl_kit.manifests.schema import FeatureSet


def list_presets() -> dict[str, FeatureSet]:
    """Return every feature set of every manifest, by `DATASET/NAME`.

    Raises
    ------
    ManifestError
        If a manifest is invalid.
    """
    return {
        f"{manifest.name}/{name}": features
        for manifest in map(read_manifest, manifest_paths().values())
        for name, features in manifest.features.items()
    }


def get_preset(name: str, *, command: str = "import-features") -> FeatureSet:
    """Return one feature set; the hint of the error names `command`.

    Raises
    ------
    UsageError
        If there is no preset of this name.
    """
    known = list_presets()
    if name not in known:
        close = [other for other in known if other.startswith(name)] or close_matches(name, known, n=3)
        meant = f"Did you mean {' or '.join(close)}? " if close else ""
        raise UsageError(f"no preset named {name!r}", hint=f"{meant}`asl-kit {command} --list-presets` lists all")
    return known[name]


def presets_table() -> Table:
    """Return all presets as a table."""
    table = Table(title="Feature sets that --preset knows")
    for column in ("preset", "values", "window", "stride", "fps", "offset s", "file name"):
        table.add_column(column, justify="left" if column in ("preset", "file name") else "right", no_wrap=True)
    table.add_column("description")
    for name, features in list_presets().items():
        table.add_row(
            name,
            str(features.dimensions),
            str(features.window_frames),
            str(features.stride_frames),
            "video's" if features.fps is None else f"{features.fps:g}",
            f"{features.offset_s:g}",
            f"{features.prefix}ID{features.suffix}",
            features.title + (f" (resized to {features.resized_to})" if features.resized_to else ""),
        )
    return table
