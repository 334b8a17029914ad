"""Published feature sets that the built-in backbones reproduce: ``asl-kit extract --preset DATASET/NAME``."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from asl_extract.backbones import get_backbone
from asl_kit.errors import UsageError
from asl_kit.feature_import.presets import get_preset, list_presets


def preset_settings(name: str, *, backbone: str | None = None) -> dict[str, Any]:
    """Return the settings of a preset, as fields of `ExtractionSettings`.

    Parameters
    ----------
    name : str
        ``DATASET/NAME``, from a manifest.
    backbone : str, optional
        Chooses a stream if the preset has several.

    Returns
    -------
    dict of str to object
        window_frames, stride_frames and fps; backbone, unless it is given; flow, for a backbone that takes optical
        flow.

    Raises
    ------
    UsageError
        If there is no such preset or asl-kit cannot extract it, or if it has several streams and none is chosen.
    """
    preset = get_preset(name, command="extract")
    if not preset.backbones:
        raise UsageError(
            f"--preset {name}: asl-kit cannot extract these features ({preset.title})",
            hint=f"import the published ones: asl-kit import-features DIR -o STORE --preset {name}",
        )
    stated: dict[str, Any] = {
        "window_frames": preset.window_frames,
        "stride_frames": preset.stride_frames,
        "fps": preset.fps,
    }
    streams = " and ".join(preset.backbones)
    if len(preset.backbones) == 1:
        (backbone,) = preset.backbones
        stated["backbone"] = backbone
    elif backbone is None:
        raise UsageError(
            f"--preset {name} has several streams, each with its own store: {streams}",
            hint="choose one with --backbone, extract the others likewise, and train with --features STORE,STORE",
        )
    elif backbone not in preset.backbones:
        raise UsageError(f"--preset {name} has streams for {streams}, not for {backbone}")
    if preset.flow and get_backbone(backbone).frames == "flow":
        stated["flow"] = preset.flow
    return stated


def presets_table() -> Table:
    """Return a table of the presets that can be extracted from videos."""
    table = Table(title="Feature sets that asl-kit extract --preset reproduces", box=box.SIMPLE_HEAD)
    for column in ("preset", "backbone", "window", "stride", "fps"):
        table.add_column(column, no_wrap=True)
    table.add_column("description, and possible differences")
    for name, preset in list_presets().items():
        if preset.backbones:
            table.add_row(
                name,
                "\n".join(preset.backbones),
                str(preset.window_frames),
                str(preset.stride_frames),
                "own" if preset.fps is None else f"{preset.fps:g}",
                "\n".join([preset.title, *preset.extraction_notes]),
            )
    return table
