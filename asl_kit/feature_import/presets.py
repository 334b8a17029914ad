"""The feature sets that manifests know: `DATASET/NAME`."""

from __future__ import annotations

import difflib

from asl_kit.errors import UsageError
from asl_kit.manifests.files import manifest_paths, read_manifest
from asl_kit.manifests.schema import FeatureSet


def list_presets() -> dict[str, FeatureSet]:
    """Return every feature set of every manifest, by `DATASET/NAME`.

    Raises
    ------
    ManifestError
        If a manifest is wrong.
    """
    return {
        f"{manifest.name}/{name}": features
        for manifest in map(read_manifest, manifest_paths().values())
        for name, features in manifest.features.items()
    }


def get_preset(name: str, *, command: str = "import-features") -> FeatureSet:
    """Return one feature set; `command` is the one that was called, for the hint.

    Raises
    ------
    UsageError
        If there is none of this name.
    """
    known = list_presets()
    if name not in known:
        close = [other for other in known if other.startswith(name)] or difflib.get_close_matches(name, known, n=3)
        meant = f"Did you mean {' or '.join(close)}? " if close else ""
        raise UsageError(f"no preset named {name!r}", hint=f"{meant}`asl-kit {command} --list-presets` shows all")
    return known[name]
