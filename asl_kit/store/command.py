"""The command that makes a store again."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from asl_kit.store.spec import UNNAMED, ExtractionSpec

_OFFSET = re.compile(r"offset (\S+) s")


def command_for(spec: ExtractionSpec, *, dtype: str, store: Path) -> str:
    """Return the command line that makes features as `spec` says.

    Capitals stand for what a store does not record: ``VIDEOS``, or ``DIR`` and ``ANNOTATIONS`` for imported features,
    whose options for file names and layout are not recorded either. A weights file is given by its name,
    without its folder.

    Parameters
    ----------
    spec : ExtractionSpec
        The store's spec.
    dtype : str
        Type of the stored features.
    store : Path
        The new store's folder.
    """
    imported = spec.is_imported
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
        "--pooling": spec.pooling,
        "--window": spec.window_frames,
        "--stride": spec.stride_frames,
        "--fps": spec.fps,
        "--size": spec.frame_size,
        "--flow": spec.flow_method,
        "--flow-weights": spec.flow_weights,
        "--precision": spec.precision,
        "--decoder": spec.decoder_name,
    }


def _import_options(spec: ExtractionSpec) -> dict[str, object]:
    resized = spec.sampling == "resized"
    annotations = "ANNOTATIONS" if resized or spec.fps is None else None
    if resized and spec.window_frames:  # only presets state both
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
        "--name": "" if spec.weights == UNNAMED else spec.weights,
    }


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
