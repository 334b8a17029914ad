"""Reading of `torch.save` files, including the checksums that PyTorch writes but does not check."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def load_saved(path: Path, *, device: str | torch.device = "cpu", mmap: bool = False) -> Any:
    """Load a file written by `torch.save`. Nothing in the file is executed.

    Files of PyTorch before 1.6 are not archives and have no checksums.

    Parameters
    ----------
    path : Path
        The file.
    device : str or torch.device
        Where its tensors shall be.
    mmap : bool
        Whether tensors may stay in the file and be read when they are used: copy those that shall outlive it.

    Raises
    ------
    ValueError
        If a part of the file does not match its checksum. `torch.load` would silently return wrong numbers.
    Exception
        Any error of `torch.load` for files that are damaged or hold more than tensors and plain values.
    """
    mappable = False
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            mappable = all(part.compress_type == zipfile.ZIP_STORED for part in archive.infolist())
        if damaged is not None:
            raise ValueError(f"damaged: {damaged!r} does not match its checksum")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Validating sparse tensor")  # sparse tensors are refused later
        return torch.load(path, map_location=device, weights_only=True, mmap=mmap and mappable)


def find_unsound(tensors: Mapping[Any, Any]) -> str | None:
    """Return the first key whose entry is not a dense tensor of finite real numbers, or which is no string; or None."""
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
