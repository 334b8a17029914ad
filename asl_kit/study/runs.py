"""One run of a study: its folder, what is finished in it, and how it is trained and scored in a process of its own.

A run's folder is that of a training, with `scores.json`, `detections.json`, `log.txt` and two records: `run.json` says
with which settings and data it was begun, and `result.json`, which is written last, also how it was scored.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from asl_evaluate.scores import Scores
from asl_kit.annotations import read_annotations
from asl_kit.base.console import err
from asl_kit.base.files import name_write_errors, read_json, sha256_of, write_text
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.errors import AslKitError, StudyError
from asl_kit.recipes.schema import RunRecipe
from asl_kit.remote.address import Address
from asl_kit.store.ids import encode_id
from asl_kit.study.settings import Run, Study

MAY_DIFFER = ("checkpoint_minutes", "loggers")  # keys of the recipe's table `run` that do not affect the result
BEGUN, RESULT, LOG = "run.json", "result.json", "log.txt"


@dataclass(frozen=True)
class Job:
    """A run with its folder, and the checksums of what decides its result."""

    run: Run
    folder: Path
    trained_with: str
    """Of the recipe, the annotations, the features and the starting weights."""
    scored_with: str
    """Of these, and how the detections are scored."""

    def result(self) -> dict[str, Any] | None:
        """Return the record of the finished run; None if it is not finished with these settings and data."""
        record = _record(self.folder / RESULT)
        return record if record.get("scored_with") == self.scored_with and "scores" in record else None

    @property
    def state(self) -> Literal["finished", "changed", "begun", "new"]:
        """Whether the run is finished, was begun with other settings or data, was interrupted, or has not begun."""
        if self.result() is not None:
            return "finished"
        begun = _record(self.folder / BEGUN)
        if not begun:
            return "new"
        return "begun" if begun.get("trained_with") == self.trained_with else "changed"


def plan_jobs(study: Study, out: Path) -> list[Job]:
    """Return the jobs of a study: it reads the annotations, and the checksums that the stores record.

    Raises
    ------
    AslKitError
        If annotations or a store cannot be read.
    """
    data: dict[tuple[Path, tuple[Path | Address, ...]], list[str]] = {}
    files: dict[Path, str] = {}
    jobs = []
    for run in study.runs:
        source = (run.annotations, run.features)
        if source not in data:
            videos = read_annotations(run.annotations).videos
            reader = FeatureReader(run.features)
            specs = [spec.model_dump(mode="json") for spec in reader.specs]
            there = [video_id for video_id in videos if video_id in reader]
            data[source] = [sha256_of(run.annotations), reader.sha256(there), json.dumps(specs)]
        if run.start_from is not None and run.start_from not in files:
            files[run.start_from] = sha256_of(run.start_from)
        decisive = run.recipe.run.model_copy(update={key: getattr(RunRecipe(), key) for key in MAY_DIFFER})
        # Without the defaults: later versions may have more keys.
        recipe = run.recipe.model_copy(update={"run": decisive}).model_dump(mode="json", exclude_defaults=True)
        parts = [recipe, *data[source], files[run.start_from] if run.start_from is not None else None]
        scoring = {name: value for name, value in asdict(run.scoring).items() if name != "table"}
        folder = out / encode_id(run.set_name) / encode_id(run.variant) / f"seed-{run.seed}"
        jobs.append(Job(run, folder, _digest(parts), _digest([*parts, scoring])))
    return jobs


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _record(path: Path) -> dict[str, Any]:
    """Return a record; an empty one if there is none, or a power failure has damaged it."""
    try:
        record = read_json(path, StudyError)
    except (StudyError, OSError):
        return {}
    return record if isinstance(record, dict) else {}


def do(job: Job, *, device: str, threads: int) -> str | None:
    """Train and score a run, in this process, which prints into the run's log; return why it failed, or None."""
    import torch

    torch.set_num_threads(threads)
    try:
        _begin(job)
        with name_write_errors(job.folder / LOG):
            log = os.open(job.folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)
        _train_and_score(job, device)
    except AslKitError as fault:
        err().print(f"error: {fault.message}")  # into the log
        return fault.message + (f" ({fault.hint})" if fault.hint else "")
    except Exception as fault:
        traceback.print_exc()
        return f"{type(fault).__name__}: {fault}; {job.folder / LOG} says where"
    return None


def _begin(job: Job) -> None:
    """Make the run's folder; what was trained there with other settings is removed."""
    old = job.folder.with_name(f".{job.folder.name}.old")
    with name_write_errors(job.folder):
        if old.exists():
            shutil.rmtree(old)
        if job.state == "changed":
            job.folder.rename(old)  # at once, so that a kill leaves no half of it
            shutil.rmtree(old)
        job.folder.mkdir(parents=True, exist_ok=True)
    if job.state == "new":
        write_text(job.folder / BEGUN, json.dumps({"trained_with": job.trained_with}) + "\n")


def _train_and_score(job: Job, device: str) -> None:
    from asl_evaluate.scoring import evaluate_checkpoint, write_results
    from asl_train.trainer import train_model

    run, began_s = job.run, time.monotonic()
    trained = train_model(
        run.annotations, run.features, job.folder, run.recipe, start_from=run.start_from, resume=True, device=device
    )
    scored = evaluate_checkpoint(trained.checkpoint, run.annotations, run.features, run.scoring, device=device)
    write_results(job.folder, scored.scores, scored.detections)
    record = {
        "trained_with": job.trained_with,
        "scored_with": job.scored_with,
        "scores": named_scores(scored.scores),
        "kept": trained.kept,
        "seconds": round(time.monotonic() - began_s, 1),
    }
    write_text(job.folder / RESULT, json.dumps(record, indent=1) + "\n")


def named_scores(scores: Scores) -> dict[str, float]:
    """Return the scores of an evaluation by their names, in [0, 1]."""
    named = {} if scores.average_map is None else {"average mAP": scores.average_map}
    named |= {
        f"mAP@{tiou:g}": value
        for tiou, value in zip(scores.tiou_thresholds, scores.mean_average_precision, strict=False)
    }
    return named | {name: metric.mean for name, metric in {**scores.recall, **scores.metrics}.items()}
