"""Files of `torch.save`, read with the checksums that PyTorch writes and does not look at."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def load_saved(path: Path, *, device: str | torch.device = "cpu") -> Any:
    """Return what `torch.save` wrote. Nothing in the file is executed.

    Files of PyTorch before 1.6 are no archives, and hold no checksums.

    Raises
    ------
    ValueError
        If a part of the file is not what was written. `torch.load` would return other numbers without a word.
    Exception
        Whatever `torch.load` raises at files that are damaged, or hold more than tensors and plain values.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(f"damaged: {damaged!r} in it does not fit its checksum")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Validating sparse tensor")  # which are refused later, if not damaged
        return torch.load(path, map_location=device, weights_only=True)


def find_unsound(tensors: Mapping[Any, Any]) -> str | None:
    """Return the name of the first entry that is no dense tensor of finite real numbers under a text; None: all are."""
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            return repr(name)
        if (
            value.layout != torch.strided
            or value.is_quantized
            or value.is_complex()
            or not bool(value.isfinite().all())
        ):
            return repr(name)
    return None
