"""The update of a project: what changes with new annotations, what stays, and where the next model is trained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from asl_kit.base.files import read_toml
from asl_kit.errors import UsageError, first_few
from asl_kit.own_data.changes import Changes, find_changes
from asl_kit.own_data.proposal import Choice, Proposal, propose_extraction
from asl_kit.own_data.record import ANNOTATIONS, RECIPE, RUN, SCRIPT, Project
from asl_kit.own_data.survey import Survey


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting of which the new proposal differs from the earlier one; None: not set."""

    name: str
    earlier: Any
    now: Any
    reason: str
    """Of the new proposal; empty if it does not set it."""


@dataclass(frozen=True, slots=True)
class Update:
    """What an update changes in a project."""

    project: Project
    changes: Changes
    extraction: list[Difference]
    """Options that a new project would get. They are not taken: the features of the project were made without them."""
    recipe: list[Difference]
    """Recipe keys. They are taken unless the user has edited the recipe."""
    run: str
    """Folder in which the script trains: a new one if annotations or recipe change."""

    @property
    def script_needs_edit(self) -> bool:
        """Whether the user has edited the script, and it does not name the folder of the run."""
        if SCRIPT not in self.project.edited:
            return False
        return self.run not in (self.project.folder / SCRIPT).read_text(encoding="utf-8", errors="replace").split()

    def to_json(self) -> dict[str, Any]:
        """Return the update, JSON-ready."""
        return {
            "changes": self.changes.to_json(),
            "extraction_not_taken": [asdict(item) for item in self.extraction],
            "recipe": [asdict(item) for item in self.recipe],
            "edited": sorted(self.project.edited),
            "run": self.run,
        }


def plan_update(
    project: Project, survey: Survey, proposal: Proposal, *, device: torch.device, weights: str = "default"
) -> Update:
    """Compare a project with a new survey and proposal. Nothing is written.

    Parameters
    ----------
    project : Project
        The project.
    survey : Survey
        Survey of the new annotations, which continue those of the project.
    proposal : Proposal
        Proposal for them, with the project's options of extraction.
    device, weights
        As for `propose_extraction`; the default weights are those of the project.

    Raises
    ------
    UsageError
        If the user has edited the annotations, and the new ones say something else about the same videos,
        or has edited the recipe, and it is not a TOML file.
    """
    changes = find_changes(project.annotations, survey.annotations)
    if ANNOTATIONS in project.edited:
        _refuse_lost_edits(project, changes)
    used = {choice.name: choice.value for choice in project.extraction}
    if weights == "default":
        weights = used.get("--weights", weights)
    extraction = _differences(project.extraction, propose_extraction(survey, device=device, weights=weights))
    recipe = _differences(project.recipe, proposal.recipe)
    is_new = bool(changes or (recipe and RECIPE not in project.edited))
    if RECIPE in project.edited:
        tables = read_toml(project.folder / RECIPE, UsageError)
        recipe = [item for item in recipe if _value_of(tables, item.name) != item.now]
    return Update(project, changes, extraction, recipe, _next_run(project) if is_new else project.run)


def _refuse_lost_edits(project: Project, changes: Changes) -> None:
    """Refuse to replace edited annotations unless they only gain videos and classes."""
    path = project.folder / ANNOTATIONS
    lost = [f"video {video_id!r}" for video_id in changes.videos]
    lost += [f"class {name!r}" for name in changes.removed_classes]
    if lost:
        raise UsageError(
            f"{path}: edited, and the table says something else about {len(lost)} of its videos and classes:"
            f" {first_few(lost)}; nothing was written",
            hint="make the same edits in the table, or choose another --out for a new project",
        )


def _differences(earlier: Sequence[Choice], now: Sequence[Choice]) -> list[Difference]:
    before = {choice.name: choice.value for choice in earlier}
    after = {choice.name: choice for choice in now}
    found = [
        Difference(choice.name, before.get(choice.name), choice.value, choice.reason)
        for choice in now
        if choice.name not in before or before[choice.name] != choice.value
    ]
    return found + [Difference(name, value, None, "") for name, value in before.items() if name not in after]


def _value_of(tables: dict[str, Any], name: str) -> Any:
    """Return the value of a recipe key, or None if it is not set."""
    table, _, key = name.partition(".")
    values = tables.get(table)
    return values.get(key) if isinstance(values, dict) else None


def _next_run(project: Project) -> str:
    """Return the name of a folder for the next run: run, run-2, run-3, ..., after those that exist."""
    found = (re.fullmatch(rf"{RUN}(?:-(\d{{1,9}}))?", path.name) for path in project.folder.iterdir())
    last = max((int(match[1] or 1) for match in found if match), default=0)
    return RUN if not last else f"{RUN}-{last + 1}"
