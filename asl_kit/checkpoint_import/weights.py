"""The weights of ActionFormer and of programs made from it, renamed for asl-kit's network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asl_kit.base.validation import list_errors
from asl_kit.checkpoint.files import read_saved
from asl_kit.errors import CheckpointError
from asl_kit.torch_utils.saved_tensors import find_unsound

STATE_DICTS = {"ema": "state_dict_ema", "plain": "state_dict"}
NAMES = (
    (r"^backbone\.embd\.", "projection."),
    (r"^backbone\.embd_norm\.", "projection_norms."),
    (r"^backbone\.", ""),
    (r"^neck\.fpn_norms\.", "pyramid_norms."),
    (r"^(cls|reg)_head\.norm\.", r"\1_head.norms."),
    (r"^(cls|reg)_head\.head\.", r"\1_head.hidden."),
    (r"^cls_head\.cls_head\.", "classification_head.last."),
    (r"^reg_head\.offset_head\.", "localization_head.last."),
    (r"^cls_head\.", "classification_head."),
    (r"^reg_head\.(?!scale)", "localization_head."),
)
SCALE = re.compile(r"reg_head\.scale\.(\d+)\.scale")


def read_weights(path: Path, which: str, title: str) -> tuple[dict[str, Tensor], int | None]:
    """Read one of the two state dicts of a checkpoint, and its epoch. Nothing in it is executed.

    Parameters
    ----------
    path : Path
        An ``epoch_*.pth.tar``.
    which : {"ema", "plain"}
        The moving average of the weights, which the programs evaluate, or the weights themselves.
    title : str
        The name of the program, for messages.

    Raises
    ------
    MissingFileError
        If there is no such file.
    CheckpointError
        If it is not such a checkpoint.
    """
    fields = read_saved(path, hint=f"{title} writes epoch_035.pth.tar")
    key = STATE_DICTS[which]
    weights = fields.get(key) if isinstance(fields, dict) else None
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        found: Any = ", ".join(map(str, list(fields)[:8])) if isinstance(fields, dict) else type(fields).__name__
        other = "plain" if which == "ema" else "ema"
        raise CheckpointError(
            f"{path}: no {key!r} with weights; it holds: {found}",
            hint=f"a checkpoint of {title} holds state_dict and state_dict_ema; for the other: --weights {other}",
        )
    if (name := find_unsound(weights)) is not None:
        raise CheckpointError(f"{path}: damaged: {key}: {name} is not a tensor of finite numbers")
    epoch = fields.get("epoch")
    return dict(weights), epoch if isinstance(epoch, int) else None


def translate(
    weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], names: Sequence[tuple[str, str]]
) -> dict[str, Tensor]:
    """Return their weights as a state dict of asl-kit's network.

    Parameters
    ----------
    weights : mapping of str to Tensor
        Their state dict.
    expected : mapping of str to Tensor
        State dict of asl-kit's network of the same shape. Weights that they do not have keep these values (scaling of
        the input) or are neutral (scaling of a block's branches without drop path).
    names : sequence of (str, str)
        Patterns in the names of the program's own layers, and what takes their place.

    Raises
    ------
    CheckpointError
        If names or shapes do not match; the message lists them.
    """
    ours: dict[str, Tensor] = {}
    theirs: dict[str, str] = {}
    scales: dict[int, Tensor] = {}
    for name, value in weights.items():
        new = name.removeprefix("module.")  # of torch.nn.DataParallel
        for pattern, replacement in (*names, *NAMES):
            new = re.sub(pattern, replacement, new)
        if match := SCALE.fullmatch(new):
            if value.numel() != 1:
                raise CheckpointError(f"{name}: {tuple(value.shape)} in the file, expected one number")
            scales[int(match[1])] = value.reshape(())
            continue
        is_norm = value.ndim == 3 and value.shape[0] == value.shape[2] == 1 and new.endswith(("weight", "bias"))
        ours[new] = value.flatten() if is_norm and "norm" in new else value
        theirs[new] = name
    if scales:
        ours["offset_scale"] = torch.stack([scales[level] for level in sorted(scales)])
        theirs["offset_scale"] = "reg_head.scale, of all levels"
    for name, value in expected.items():
        if name in ("feature_mean", "feature_scale"):
            ours[name] = value
        elif name.endswith("_path.scale") and not any("drop_path" in theirs_name for theirs_name in weights):
            ours[name] = torch.ones_like(value)
    faults = [f"{theirs.get(name, name)}: not in the configured network" for name in ours if name not in expected]
    for name, value in expected.items():
        if name not in ours:
            faults.append(f"{name} (asl-kit's name): missing in the file")
        elif ours[name].shape != value.shape:
            shapes = f"{tuple(ours[name].shape)} in the file, {tuple(value.shape)} by the configuration"
            faults.append(f"{theirs.get(name, name)}: {shapes}")
    if faults:
        raise CheckpointError(f"the weights do not fit the configuration: {list_errors(faults)}")
    return {name: ours[name].to(value.dtype).contiguous() for name, value in expected.items()}
