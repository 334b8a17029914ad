"""Finding manifest files by name, in a checkout or in an installed wheel, and reading them."""

from __future__ import annotations

from pathlib import Path

from asl_kit.base.files import read_toml
from asl_kit.base.similar_names import close_matches
from asl_kit.base.validation import check_version, validate
from asl_kit.errors import ManifestError
from asl_kit.manifests.schema import Manifest

_INSTALLED = Path(__file__).parent / "data"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "manifests"
"""The folder of the manifests: in an installed wheel, or at the top of the repository."""

VERSION = 1
"""Version of the format, which a file may state as `version`."""

DEFAULT_TIOU_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Of datasets without a manifest."""


def read_manifest(path: Path) -> Manifest:
    """Read one manifest file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ManifestError
        If it is not TOML, or has unknown, missing or wrong keys; the message lists all of them.
    """
    fields = read_toml(path, ManifestError)
    check_version(fields.pop("version", VERSION), VERSION, source=str(path), what="manifest", error=ManifestError)
    manifest = validate(Manifest, fields, source=str(path), error=ManifestError)
    if manifest.name != path.stem:
        raise ManifestError(f"{path}: name: must be {path.stem!r} like the file, found {manifest.name!r}")
    return manifest


def manifest_paths() -> dict[str, Path]:
    """Return the file of every manifest by its name, sorted."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def find_manifest(name: str) -> Manifest | None:
    """Return the manifest with this name or alias, or None."""
    paths = manifest_paths()
    if name in paths:
        return read_manifest(paths[name])
    return next((manifest for manifest in map(read_manifest, paths.values()) if name in manifest.aliases), None)


def load_manifest(name: str) -> Manifest:
    """Return the manifest with this name or alias.

    Raises
    ------
    ManifestError
        If there is none, or its file is invalid.
    """
    manifest = find_manifest(name)
    if manifest is None:
        names = list(manifest_paths())
        close = close_matches(name, names)
        hint = f"Did you mean {close[0]!r}?" if close else None
        raise ManifestError(f"no manifest named {name!r}; there are: {', '.join(names)}", hint=hint)
    return manifest


def default_tiou_thresholds(dataset: str) -> tuple[float, ...]:
    """Return the tIoU thresholds that a dataset is scored with, from its manifest if there is one."""
    manifest = find_manifest(dataset)
    return manifest.tiou_thresholds if manifest else DEFAULT_TIOU_THRESHOLDS
