"""Tables of an update."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from asl_kit.base.console import warn
from asl_kit.errors import first_few
from asl_kit.own_data.changes import Changes
from asl_kit.own_data.record import RECIPE, SCRIPT
from asl_kit.own_data.survey_table import list_names
from asl_kit.own_data.update import Difference, Update
from asl_kit.recipes.files import to_toml_value


def print_update(update: Update, console: Console) -> None:
    """Print what an update changes, what it keeps, and what is left to the user."""
    project, changes = update.project, update.changes
    if changes:
        console.print(_changes_table(changes))
    else:
        console.print("no changes: the table says what the project says")
    if changes.removed:
        warn(console, "videos of the project are not in the table, which must also list the earlier videos")
    if update.extraction:
        title = "Extraction: not changed, because the features of the project exist; for a new proposal, another --out"
        console.print(_settings_table(title, "kept", update.extraction))
    path = project.folder / RECIPE
    if RECIPE in project.edited:
        title = f"Recipe: {path} was edited and stays as it is; of the new proposal, it does not have"
        if update.recipe:
            console.print(_settings_table(title, "proposed earlier", update.recipe))
        else:
            console.print(f"{path} was edited and stays as it is")
    elif update.recipe:
        console.print(_settings_table("Recipe", "earlier", update.recipe))
    if SCRIPT in project.edited:
        text = f"{project.folder / SCRIPT} was edited and stays as it is"
        if update.script_needs_edit:
            text += (
                f"; change it to train a new model: `--out {update.run}` for asl-kit train, and"
                f" `--checkpoint {update.run}/model.ckpt` in the commands after it"
            )
        warn(console, text)
    elif update.run != project.run:
        console.print(f"{SCRIPT} trains a new model in {update.run}; earlier models stay")


def _changes_table(changes: Changes) -> Table:
    table = Table(title="Changes", title_justify="left", box=box.SIMPLE_HEAD, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    segments = {
        video_id: f"{new} new, {gone} gone" if new or gone else "annotated or not"
        for video_id, (new, gone) in changes.segments.items()
    }
    durations = {video_id: f"{before:g} to {after:g}" for video_id, (before, after) in changes.durations_s.items()}
    rows = {
        "videos added": _with_splits(changes.added),
        "videos removed": _with_splits(changes.removed),
        "moved to another split": list_names(
            {video_id: f"{before} to {after}" for video_id, (before, after) in changes.splits.items()}, "({})"
        ),
        "other segments": list_names(segments, "({})"),
        "other duration (s)": list_names(durations, "({})"),
        "other facts": list_names(dict.fromkeys(changes.other, "")),
        "classes added": list_names(dict.fromkeys(changes.new_classes, "")),
        "classes removed": list_names(dict.fromkeys(changes.removed_classes, "")),
        "class ids": "not as before" if changes.class_order else "none",
    }
    for name, text in rows.items():
        if text != "none":
            table.add_row(name, text)
    return table


def _with_splits(videos: dict[str, str]) -> str:
    counts = ", ".join(f"{count} {split}" for split, count in sorted(Counter(videos.values()).items()))
    return f"{len(videos)} ({counts}): {first_few(list(videos))}" if videos else "none"


def _settings_table(title: str, earlier: str, differences: Sequence[Difference]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("setting", earlier, "proposed now", "reason"):
        table.add_column(name, no_wrap=name == "setting", overflow="fold")
    for item in differences:
        table.add_row(item.name, _text(item.earlier), _text(item.now), item.reason)
    return table


def _text(value: Any) -> str:
    return "not set" if value is None else to_toml_value(value)
