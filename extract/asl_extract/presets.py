"""Published feature sets that backbones of this package make: ``asl-kit extract --preset DATASET/NAME``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from asl_extract.backbones import get_backbone
from asl_kit.errors import UsageError
from asl_kit.feature_import.presets import get_preset, list_presets

_SHOWN_BY = "`asl-kit extract --list-presets` shows what it states; or give all options and no preset"


def preset_settings(name: str, given: Mapping[str, object]) -> dict[str, Any]:
    """Return what a preset states, as arguments of `Extractor.create`.

    Parameters
    ----------
    name : str
        ``DATASET/NAME``, as a manifest names it.
    given : mapping of str to object
        Settings that the user gave, by the name of the argument; None or empty: not given.
        Of a preset with several streams, ``backbone`` chooses one.

    Returns
    -------
    dict of str to object
        backbone, window_frames, stride_frames and fps; flow as well, of a backbone that looks at flow.

    Raises
    ------
    UsageError
        If there is no such preset, or no backbone for it; if something that it states was given
        too; or if it has several streams and none is chosen.
    """
    preset = get_preset(name, command="extract")
    if not preset.backbones:
        raise UsageError(
            f"--preset {name}: asl-kit has no backbone that makes these features ({preset.title})",
            hint=f"bring the published ones into a store: asl-kit import-features DIR -o STORE --preset {name}",
        )
    chosen = given.get("backbone")
    streams = " and ".join(preset.backbones)
    if len(preset.backbones) == 1:
        chosen, stated = preset.backbones[0], {"backbone": "--backbone"}
    elif chosen is None:
        raise UsageError(
            f"--preset {name} has several streams, a store each: {streams}",
            hint="choose one by --backbone, make the others the same way, and train on --features STORE,STORE",
        )
    elif chosen not in preset.backbones:
        raise UsageError(f"--preset {name} has the streams {streams}, not {chosen}")
    else:
        stated = {}
    settings = {
        "backbone": str(chosen),
        "window_frames": preset.window_frames,
        "stride_frames": preset.stride_frames,
        "fps": preset.fps,
    }
    stated |= {"window_frames": "--window", "stride_frames": "--stride", "fps": "--fps"}
    if preset.flow and get_backbone(str(chosen)).frames == "flow":
        settings["flow"] = preset.flow
        stated["flow"] = "--flow"
    refused = [option for setting, option in stated.items() if given.get(setting) not in (None, "")]
    if refused:
        raise UsageError(f"--preset {name} states that already: leave out {', '.join(refused)}", hint=_SHOWN_BY)
    return settings


def presets_table() -> Table:
    """Return a table of the presets that can be extracted."""
    table = Table(title="Feature sets that asl-kit extract --preset makes", box=box.SIMPLE_HEAD)
    for column in ("preset", "backbone", "window", "stride", "fps"):
        table.add_column(column, no_wrap=True)
    table.add_column("what, and how ours may differ")
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
