"""The project folder that `asl-kit init` writes: annotations, a recipe, and a script that runs every step."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from asl_kit.annotations.io import to_text
from asl_kit.base.files import read_json, sha256_of, write_text
from asl_kit.errors import UsageError
from asl_kit.own_data.proposal import Choice, Proposal, to_toml_value
from asl_kit.own_data.survey import Survey

ANNOTATIONS, RECIPE, SCRIPT, RECORD = "annotations.json", "recipe.toml", "run.sh", "init.json"
_PATHS_AS_THEY_ARE = "surrogateescape"
"""Python decodes paths with it; the script must contain the same bytes, whatever the locale."""


def write_project(folder: Path, survey: Survey, proposal: Proposal) -> list[Path]:
    """Write annotations, recipe and script; files of an earlier call are replaced unless edited.

    ``init.json`` records the survey, the proposal and the SHA-256 of the written
    files, which shows whether they were edited.

    Parameters
    ----------
    folder : Path
        Created if absent.
    survey : Survey
        The survey.
    proposal : Proposal
        The proposal.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    UsageError
        If a file was edited or was not written by this function. Nothing is written then.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder to write into, found a file")
    texts = {ANNOTATIONS: _annotations(survey), RECIPE: _recipe(proposal), SCRIPT: _script(survey, proposal)}
    _refuse_edited(folder, texts)
    for name, text in texts.items():
        write_text(folder / name, text, errors=_PATHS_AS_THEY_ARE)
    (folder / SCRIPT).chmod(0o755)
    record = survey.to_json() | {"proposed": proposal.to_json()}
    record["files"] = {name: sha256_of(folder / name) for name in texts}
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    write_text(folder / RECORD, text, errors="replace")  # its names of files are for people
    return [folder / name for name in texts]


def _refuse_edited(folder: Path, texts: dict[str, str]) -> None:
    """Refuse to replace a file unless its content is the new text or the text written before."""
    record = folder / RECORD
    known: Any = read_json(record, UsageError) if record.exists() else {}
    files = known.get("files") if isinstance(known, dict) else None
    written = files if isinstance(files, dict) else {}
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_bytes() == text.encode(errors=_PATHS_AS_THEY_ARE):
            continue
        if sha256_of(path) != written.get(name):
            raise UsageError(
                f"{path}: edited, or not written by asl-kit init; nothing was written",
                hint="choose another --out, or move the file away",
            )


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


def _script(survey: Survey, proposal: Proposal) -> str:
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
            f"asl-kit train {inputs} --out run --recipe {RECIPE} --resume",
            "",
            f"asl-kit eval --checkpoint run/model.ckpt {inputs} --split {split} --out scores",
            *reports,
            "",
            "if [ $# -gt 0 ]; then",
            '    asl-kit predict "${new[@]}" --checkpoint run/model.ckpt -o detections.json',
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
