"""The table of ``asl-kit extract --list-backbones``. It builds no network and downloads nothing."""

from __future__ import annotations

from rich import box
from rich.table import Table

from asl_extract.backbones import BACKBONES, backbone_names, get_backbone
from asl_extract.backbones.spec import BackboneSpec
from asl_kit.errors import AslKitError

COLUMNS = ("backbone", "input", "frames", "window", "stride", "size", "values", "weights")


def describe(spec: BackboneSpec) -> tuple[str, ...]:
    """Return a backbone's row of `COLUMNS`."""
    frames = f"{spec.clip_frames} or any number" if spec.whole_window else str(spec.clip_frames)
    numbers = (spec.window_frames, spec.stride_frames, spec.frame_size, spec.feature_dim)
    weights = spec.published.name if spec.published else "--weights FILE" if spec.weights_page else "none"
    return (spec.name, spec.frames, frames, *map(str, numbers), weights)


def backbones_table() -> Table:
    """Return a table of all backbones; if one cannot be loaded or described, its row gives the reason."""
    table = Table(
        box=box.SIMPLE_HEAD,
        caption="window and stride: defaults, in frames; size: of the input, in pixels\n"
        "also: hf:MODEL_OR_FOLDER, an encoder of transformers, and timm:MODEL, an image network of timm",
    )
    for column in COLUMNS:
        text = column in ("backbone", "input", "frames", "weights")
        table.add_column(column, justify="left" if text else "right", no_wrap=column == "backbone", overflow="fold")
    for name in backbone_names():
        try:
            table.add_row(*describe(get_backbone(name)))
        except AslKitError as fault:
            table.add_row(name, *[""] * (len(COLUMNS) - 2), fault.message)
        except Exception as fault:
            if name in BACKBONES:
                raise  # our own bug
            table.add_row(name, *[""] * (len(COLUMNS) - 2), f"wrong BackboneSpec: {type(fault).__name__}: {fault}")
    return table
