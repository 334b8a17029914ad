"""What is finished, what was made with other settings or data, and what is left of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.servers import WebServer
from helpers.support import make_task

from asl_evaluate.scores import Metric
from asl_kit.study import runs
from asl_kit.study.runs import BEGUN, RESULT, Job, do, named_scores, plan_jobs
from asl_kit.study.settings import Study, read_study

TEXT = """
[sets.easy]
annotations = "annotations.json"
features = "features.zarr"
[variants."a/b"]
[variants.other]
optimizer.epochs = 3
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    make_task(tmp_path, videos=4)
    (tmp_path / "study.toml").write_text("study.seeds = [0]\n" + TEXT)
    return read_study(tmp_path / "study.toml")


def finish(job: Job) -> None:
    job.folder.mkdir(parents=True)
    begun = {"trained_with": job.trained_with}
    (job.folder / BEGUN).write_text(json.dumps(begun))
    (job.folder / RESULT).write_text(json.dumps(begun | {"scored_with": job.scored_with, "scores": {}}))


@pytest.mark.parametrize(
    ("change", "states"),
    [
        ("", ["finished", "finished"]),
        ("other.epochs", ["finished", "changed"]),
        ("loggers", ["finished", "finished"]),
        ("scoring", ["begun", "begun"]),
        ("annotations", ["changed", "changed"]),
        ("damage", ["begun", "finished"]),
        ("elsewhere", ["new", "new"]),
    ],
    ids=["nothing", "one variant", "loggers", "scoring alone", "data", "a damaged record", "another folder"],
)
def test_states(change: str, states: list[str], study: Study, tmp_path: Path) -> None:
    jobs = plan_jobs(study, tmp_path / "out")
    assert [job.folder.parts[-2:] for job in jobs] == [("a%2Fb", "seed-0"), ("other", "seed-0")]
    for job in jobs:
        finish(job)
    path = tmp_path / "study.toml"
    if change == "other.epochs":
        path.write_text(path.read_text().replace("epochs = 3", "epochs = 4"))
    if change == "loggers":
        path.write_text(path.read_text().replace("[variants.other]", "[variants.other]\nrun.loggers = []"))
    if change == "scoring":
        path.write_text(path.read_text().replace("[sets.easy]", "[sets.easy]\nscoring.tiou = '0.5:0.7:0.1'"))
    if change == "annotations":
        (tmp_path / "annotations.json").write_text((tmp_path / "annotations.json").read_text() + "\n")
    if change == "damage":
        (jobs[0].folder / RESULT).write_text("{")
    out = tmp_path / ("elsewhere" if change == "elsewhere" else "out")
    assert [job.state for job in plan_jobs(read_study(path), out)] == states


def test_a_store_at_an_address_gives_the_same_job(study: Study, tmp_path: Path) -> None:
    with WebServer(tmp_path) as web:
        (tmp_path / "remote.toml").write_text(
            (tmp_path / "study.toml").read_text().replace('"features.zarr"', f'"{web.url("features.zarr")}"')
        )
        jobs = plan_jobs(read_study(tmp_path / "remote.toml"), tmp_path)
    assert [job.trained_with for job in jobs] == [job.trained_with for job in plan_jobs(study, tmp_path)]


def test_a_changed_run_replaces_its_folder(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(job: Job, device: str) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(runs, "_train_and_score", fail)
    monkeypatch.setattr(runs.os, "dup2", lambda *_: None)
    job = plan_jobs(study, tmp_path / "out")[0]
    finish(job)
    (job.folder / "model.ckpt").touch()
    (job.folder.with_name(".seed-0.old")).mkdir()  # as a kill leaves it
    changed = replace(job, trained_with="else", scored_with="else")
    failure = do(changed, device="cpu", threads=1)
    assert failure == f"ZeroDivisionError: a bug; {job.folder / 'log.txt'} says where"
    assert sorted(path.name for path in job.folder.parent.iterdir()) == ["seed-0"]
    assert sorted(path.name for path in job.folder.iterdir()) == ["log.txt", "run.json"]
    assert changed.state == "begun"
    assert do(changed, device="cpu", threads=1) == failure, "tried again"


def test_names_of_scores() -> None:
    scores = SimpleNamespace(
        average_map=0.5, tiou_thresholds=(0.3, 0.55), mean_average_precision=(0.6, 0.4),
        recall={"recall@1x": Metric(0.7)}, metrics={"F1@10": Metric(0.8)},
    )  # fmt: skip
    assert named_scores(scores) == {  # type: ignore[arg-type]
        "average mAP": 0.5, "mAP@0.3": 0.6, "mAP@0.55": 0.4, "recall@1x": 0.7, "F1@10": 0.8,
    }  # fmt: skip
