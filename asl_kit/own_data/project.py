"""The project folder that `asl-kit init` writes: annotations, a recipe, and a script that runs every step."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any

from asl_kit.annotations.io import to_text
from asl_kit.base.files import atomic_write, sha256_of, write_text
from asl_kit.errors import UsageError
from asl_kit.own_data.proposal import Choice, Proposal
from asl_kit.own_data.record import ANNOTATIONS, RECIPE, RECORD, RUN, SCRIPT, VERSION, find_edited, read_record
from asl_kit.own_data.survey import Survey
from asl_kit.own_data.update import Update
from asl_kit.recipes.files import to_toml_value

_PATHS_AS_THEY_ARE = "surrogateescape"
"""Python decodes paths with it; the script must contain the same bytes, whatever the locale."""


def write_project(folder: Path, survey: Survey, proposal: Proposal, update: Update | None = None) -> list[Path]:
    """Write annotations, recipe and script; files of an earlier call are replaced unless edited.

    ``init.json`` records the survey, the proposal and the SHA-256 of the written files, which shows
    whether they were edited. It is written before them too, with the SHA-256 of old and new files:
    if this function is stopped in between, it can be called again.

    Parameters
    ----------
    folder : Path
        Created if absent.
    survey : Survey
        The survey.
    proposal : Proposal
        The proposal.
    update : Update, optional
        The update of the project in `folder`: a recipe or script that was edited stays as it is.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    UsageError
        If a file was edited or was not written by this function, and there is no `update`. Nothing is written then.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder to write into, found a file")
    run = RUN if update is None else update.run
    contents = {
        name: text.encode(errors=_PATHS_AS_THEY_ARE)
        for name, text in (
            (ANNOTATIONS, _annotations(survey)),
            (RECIPE, _recipe(proposal)),
            (SCRIPT, _script(survey, proposal, run)),
        )
    }
    if update is not None and not update.changes:
        contents[ANNOTATIONS] = (folder / ANNOTATIONS).read_bytes()  # another note would count as other data
    record = read_record(folder)
    edited = find_edited(folder, contents, record)
    left = {name for name in edited if (folder / name).read_bytes() != contents[name]}
    if update is None and left:
        raise UsageError(
            f"{folder / min(left)}: edited, or not written by asl-kit init; nothing was written",
            hint="choose another --out, or move the file away; to add videos and rows to a project and keep its"
            " edited files: --update",
        )
    known = record.get("files")
    files = known if isinstance(known, dict) else {}
    files |= {name: sha256_of(folder / name) for name in contents if (folder / name).exists() and name not in edited}
    contents = {name: content for name, content in contents.items() if name == ANNOTATIONS or name not in left}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    _write_record(folder, record | {"files": files, "replacing": sums, "run": run})
    for name, content in contents.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_bytes(content)
            if name == SCRIPT:
                temporary.chmod(0o755)
    proposed = {"proposed": proposal.to_json()}
    _write_record(folder, {"version": VERSION, "run": run} | survey.to_json() | proposed | {"files": files | sums})
    return [folder / name for name in contents]


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    write_text(folder / RECORD, text, errors="replace")  # its names of files are for people


def _annotations(survey: Survey) -> str:
    annotations = survey.annotations
    notes = [*annotations.source.notes, f"asl-kit init: split: {survey.split_note}"]
    source = annotations.source.model_copy(update={"notes": notes})
    return to_text(annotations.model_copy(update={"source": source}))


def _recipe(proposal: Proposal) -> str:
    lines = [
        "# Proposed by `asl-kit init`, which does not replace it once you edit it.",
        "# All keys: asl-kit train --print-recipe",
        "# Not set because training derives it from the features:",
        *(f"# {choice.name}: {choice.value}: {choice.reason}" for choice in proposal.left),
    ]
    tables: dict[str, list[Choice]] = {}
    for choice in proposal.recipe:
        tables.setdefault(choice.name.partition(".")[0], []).append(choice)
    for table, choices in tables.items():
        lines += ["", f"[{table}]"]
        for choice in choices:
            lines.append(f"{choice.name.partition('.')[2]} = {to_toml_value(choice.value)}  # {choice.reason}")
    return "\n".join(lines) + "\n"


def _script(survey: Survey, proposal: Proposal, run: str) -> str:
    videos = shlex.quote(str(survey.videos.resolve()))
    options = shlex.join(word for choice in proposal.extraction for word in (choice.name, f"{choice.value}"))
    reasons = "\n".join(f"# {choice.name} {choice.value}: {choice.reason}" for choice in proposal.extraction)
    split = shlex.quote(survey.evaluated)
    inputs = f"--annotations {ANNOTATIONS} --features features.zarr"
    vocabularies = list(survey.annotations.vocabularies)
    reports = [_report(split, videos, name if len(vocabularies) > 1 else None) for name in vocabularies]
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            "# Proposed by `asl-kit init`, which does not replace it once you edit it.",
            "# It can be stopped at any time; run it again to continue.",
            "# To detect actions in new videos: bash run.sh new.mp4",
            "set -euo pipefail",
            'new=(); for video in "$@"; do new+=("$(realpath -- "$video")"); done',
            'cd -- "$(dirname -- "${BASH_SOURCE[0]}")"',
            "",
            reasons,
            "# Exit code 1: some videos failed, see above; training continues without them.",
            f"asl-kit extract {videos} -o features.zarr --annotations {ANNOTATIONS} {options} || [ $? -eq 1 ]",
            "",
            "# To start from a model that you have of features of the same backbone, add: --start-from MODEL",
            f"asl-kit train {inputs} --out {run} --recipe {RECIPE} --resume",
            "",
            f"asl-kit eval --checkpoint {run}/model.ckpt {inputs} --split {split} --out scores",
            *reports,
            "",
            "if [ $# -gt 0 ]; then",
            f'    asl-kit predict "${{new[@]}}" --checkpoint {run}/model.ckpt -o detections.json',
            "fi",
            "",
        ]
    )


def _report(split: str, videos: str, vocabulary: str | None) -> str:
    ending = "" if vocabulary is None else f"-{vocabulary}"
    own = "" if vocabulary is None else f" --vocabulary {shlex.quote(vocabulary)}"
    predictions, page = shlex.quote(f"scores/detections{ending}.json"), shlex.quote(f"report{ending}.html")
    return (
        f"asl-kit report --predictions {predictions} --annotations {ANNOTATIONS} --split {split}"
        f" -o {page} --videos {videos}{own}"
    )
