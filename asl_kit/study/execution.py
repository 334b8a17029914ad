"""A study from its file to its table: what is finished is kept, and the rest is trained."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from asl_evaluate.scoring import score
from asl_kit.annotations import read_annotations
from asl_kit.base.console import err, progress_bar, warn
from asl_kit.base.files import locked
from asl_kit.detections.table import Detections
from asl_kit.errors import AslKitError, StudyError, UsageError
from asl_kit.study.executors import choose_places, do_here, do_on_ray
from asl_kit.study.page import write_page
from asl_kit.study.results import StudyResult, collect, find_score
from asl_kit.study.runs import Job, named_scores, plan_jobs
from asl_kit.study.settings import Study, read_study

PAGE = "study.html"


def run_study(
    file: str | Path,
    out: str | Path,
    *,
    jobs: int | None = None,
    device: str = "auto",
    ray: str | None = None,
    show: bool = False,
) -> StudyResult:
    """Train and score every run of a study that is not finished, and write its page.

    Parameters
    ----------
    file : path
        The study file.
    out : path
        Folder of the study, with a folder for each run.
    jobs : int, optional
        Runs at once. Default: one for each GPU, or on a CPU one for each core, up to four.
    device : str
        ``auto`` (every GPU, or else the CPU), ``cpu``, ``cuda:0``, or several: ``cuda:0,cuda:1``.
    ray : str, optional
        Address of a Ray cluster that does the runs.
    show : bool
        Run nothing.

    Returns
    -------
    StudyResult
        Scores and differences; runs that failed are among the missing ones.

    Raises
    ------
    AslKitError
        If the study file, annotations or a store cannot be read, a set cannot be scored as the file says, another
        process works on the study, or `device` and `ray` are both given.
    """
    if ray is not None and device != "auto":
        raise UsageError(f"--ray gives each run its device: leave out --device {device}")
    study = read_study(Path(file))
    folder = Path(out).absolute()
    planned = plan_jobs(study, folder)
    if show:
        return collect(study, planned, {})
    check_scoring(study)
    with locked(folder / ".lock") as is_alone:
        if not is_alone:
            raise UsageError(f"{out}: another process works on this study", hint="wait for it, or choose another --out")
        failures = _do(study, planned, jobs=jobs, device=device, ray=ray)
        result = collect(study, planned, failures)
        write_page(folder / PAGE, study, result)
    return result


def check_scoring(study: Study) -> None:
    """Score each set without detections, so that a mistake in how it is scored is found before anything is trained.

    Raises
    ------
    StudyError
        If a set cannot be scored with its options, or none of its scores has the name that the study compares.
    """
    for run in {run.set_name: run for run in study.runs}.values():
        annotations, options = read_annotations(run.annotations), run.scoring
        if options.vocabulary is None and not options.protocol_for(annotations.dataset).joint:
            options = replace(options, vocabulary=next(iter(annotations.vocabularies)))  # all have the same scores
        try:
            scores = score(Detections.from_lists([]), annotations, options)
        except AslKitError as fault:
            raise StudyError(f"{study.path}: sets.{run.set_name}: {fault.message}", hint=fault.hint) from fault
        find_score(named_scores(scores), study)


def _do(study: Study, planned: list[Job], *, jobs: int | None, device: str, ray: str | None) -> dict[str, str]:
    """Do what is not finished; return why runs failed, by name."""
    states = Counter(job.state for job in planned)
    err().print(f"{len(planned)} runs, {states['finished']} of them finished")
    if states["changed"]:
        warn(err(), f"{states['changed']} runs were made with other settings or data, and are trained again")
    waiting = [job for job in planned if job.state != "finished"]
    failures: dict[str, str] = {}
    if not waiting:
        return failures
    with progress_bar("runs", len(planned)) as bar:
        bar.advance(len(planned) - len(waiting))

        def on_end(job: Job, failure: str | None) -> None:
            record = job.result()
            if failure is None and record is not None:
                score = find_score(record["scores"], study)
                bar.message(f"{job.run.name}: {study.score} {100 * score:.2f} %, {record['seconds']:.0f} s")
            else:
                failures[job.run.name] = failure or "its result is gone"
                bar.message(f"{job.run.name}: failed: {failures[job.run.name]}")
            bar.advance()

        if ray is not None:
            do_on_ray(waiting, ray, jobs, on_end)
        else:
            places = choose_places(device, jobs, len(waiting))
            err().print(f"{len(places.devices)} at once on {', '.join(places.devices)}; {places.threads} threads each")
            do_here(waiting, places, on_end)
    return failures
