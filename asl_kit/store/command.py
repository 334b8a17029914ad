"""The command that would make a store again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from asl_kit.store.spec import ExtractionSpec

_OFFSET = re.compile(r"offset (\S+) s")
_UNNAMED = "unnamed"


def command_for(spec: ExtractionSpec, *, dtype: str, store: Path) -> str:
    """Return the command line that makes features as `spec` says.

    What a store does not record is in capitals: ``VIDEOS``, or ``DIR`` and ``ANNOTATIONS`` of imported features,
    whose options on file names and layout are not known either. Weights from a file are there by the
    file's name, without its folder.

    Parameters
    ----------
    spec : ExtractionSpec
        Of the store.
    dtype : str
        Type of the stored features.
    store : Path
        Where the store is to be.
    """
    imported = spec.backbone == "imported"
    words = ["asl-kit", "import-features", "DIR"] if imported else ["asl-kit", "extract", "VIDEOS"]
    words += ["-o", str(store)]
    for option, value in (_import_options(spec) if imported else _extract_options(spec)).items():
        if value is True:
            words.append(option)
        elif value:
            words += [option, _number(value) if isinstance(value, float) else str(value)]
    return shlex.join([*words, "--dtype", dtype])


def _extract_options(spec: ExtractionSpec) -> dict[str, object]:
    return {
        "--backbone": spec.backbone,
        "--weights": spec.weights,
        "--window": spec.window_frames,
        "--stride": spec.stride_frames,
        "--fps": spec.fps,
        "--size": spec.frame_size,
        "--flow": spec.flow.partition(",")[0],
        "--flow-weights": spec.flow_weights,
        "--precision": spec.precision,
        "--decoder": spec.decoder.partition(" ")[0],
    }


def _import_options(spec: ExtractionSpec) -> dict[str, object]:
    resized = spec.sampling == "resized"
    annotations = "ANNOTATIONS" if resized or spec.fps is None else None
    if resized and spec.window_frames:  # only a preset states both
        return {"--annotations": annotations, "--preset": spec.weights}
    offset = _OFFSET.search(spec.sampling)
    return {
        "--annotations": annotations,
        "--resized": resized,
        "--window": spec.window_frames,
        "--stride": spec.stride_frames,
        "--fps": spec.fps,
        "--offset-s": float(offset[1]) if offset else None,
        "--dim": spec.feature_dim,
        "--name": "" if spec.weights == _UNNAMED else spec.weights,
    }


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
