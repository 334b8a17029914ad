"""`asl-kit study`: finished runs are kept, failed ones named, and an interrupted study ends with the same table."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from helpers.command_line import run
from helpers.processes import HEARS_CTRL_C, start_asl_kit, workers_of
from helpers.training_runs import SMALL

BASELINE = "[variants.baseline]\nsensitivity.class_level = false\nsensitivity.instance_level = false\n"


def write_study(folder: Path, task: tuple[Path, Path], variants: str, *, epochs: int = 1) -> Path:
    lines = [line.replace("=", " = ") for line in SMALL if not line.startswith(("run.precision", "optimizer.epochs"))]
    lines += ['run.precision = "float32"', f"optimizer.epochs = {epochs}", "run.checkpoint_minutes = 1e-9"]
    text = "\n".join(["[study]", "seeds = [3]", *lines, "[sets.easy]"])
    path = folder / "study.toml"
    path.write_text(f"{text}\nannotations = '{task[0]}'\nfeatures = '{task[1]}'\n{variants}")
    return path


def test_a_study(task: tuple[Path, Path], tmp_path: Path) -> None:
    broken = "[variants.broken]\nloss.terms.nobody.weight = 1.0\n"
    study = write_study(tmp_path, task, BASELINE + "[variants.asl]\n" + broken)
    out, found = tmp_path / "out", tmp_path / "found.json"
    result = run("study", study, "--out", out, "--jobs", 2, "--json", found)
    assert result.exit_code == 1, result.output
    assert "3 runs, 0 of them finished" in result.stderr
    failure = "easy, broken, seed 3: failed: recipe: loss.terms.nobody: no installed package provides this loss term"
    assert failure in result.stdout
    assert "no installed package" in (out / "easy" / "broken" / "seed-3" / "log.txt").read_text()
    document = json.loads(found.read_text())
    assert list(document["sets"]["easy"]["asl"]["scores"]) == ["3"]
    assert list(document["missing"]) == ["easy, broken, seed 3"]
    assert "easy, broken, seed 3" in (out / "study.html").read_text()
    scores = json.loads((out / "easy" / "asl" / "seed-3" / "scores.json").read_text())
    assert document["sets"]["easy"]["asl"]["scores"]["3"] == scores["average_mAP"]

    # What is finished is not trained again, whatever else is in the file by now.
    before = (out / "easy" / "asl" / "seed-3" / "result.json").stat().st_mtime_ns
    other = "[variants.baseline]\nsensitivity.mode = 'paper'\n"
    write_study(tmp_path, task, other + "[variants.asl]\nrun.loggers = []\n")
    again = run("study", study, "--out", out, "--jobs", 2)
    assert again.exit_code == 0, again.output
    assert "2 runs, 1 of them finished" in again.stderr
    assert "1 runs were made with other settings or data, and are trained again" in again.stderr
    assert (out / "easy" / "asl" / "seed-3" / "result.json").stat().st_mtime_ns == before
    shown = run("study", study, "--out", out, "--show")
    assert shown.exit_code == 0
    assert shown.stdout == again.stdout


def test_mistakes(task: tuple[Path, Path], tmp_path: Path) -> None:
    study = write_study(tmp_path, task, BASELINE)
    study.write_text(study.read_text().replace("annotations.json", "other.json"))
    result = run("study", study, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "other.json: no such file" in result.stderr
    for wrong, place, fault in (
        ('score = "mAP"', "[study]", "study.score: no score is named 'mAP'"),
        ('scoring.split = "tset"', "[sets.easy]", "sets.easy: dataset own: no video in split 'tset'"),
    ):
        study = write_study(tmp_path, task, BASELINE)
        study.write_text(study.read_text().replace(place, f"{place}\n{wrong}"))
        result = run("study", study, "--out", tmp_path / "out")
        assert result.exit_code == 2
        assert f"{study}: {fault}" in result.stderr
    assert not (tmp_path / "out").exists()
    result = run("study", study, "--out", tmp_path / "out", "--ray", "local", "--device", "cpu")
    assert result.exit_code == 2
    assert "--ray gives each run its device: leave out --device cpu" in result.stderr
    result = run("study", tmp_path / "no.toml", "--out", tmp_path / "out")
    assert (result.exit_code, result.stderr.startswith(f"error: {tmp_path / 'no.toml'}: no such file")) == (2, True)


@pytest.mark.slow
@pytest.mark.timeout(600)  # on a busy machine it took five minutes
def test_a_study_that_is_stopped_and_killed_ends_with_the_same_table(task: tuple[Path, Path], tmp_path: Path) -> None:
    study = write_study(tmp_path, task, BASELINE + "[variants.asl]\n", epochs=12)
    arguments = ("study", study, "--jobs", 2, "--device", "cpu", "--out")
    whole = run(*arguments, tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    out = tmp_path / "out"
    for stop, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        for checkpoint in out.rglob("last.ckpt"):
            checkpoint.touch()
        began = time.time_ns()
        with start_asl_kit(*arguments, out, **HEARS_CTRL_C) as process:
            while not any(path.stat().st_mtime_ns > began for path in (out / "easy" / "asl").rglob("last.ckpt")):
                assert process.poll() is None, process.communicate()
                time.sleep(0.01)
            children = workers_of(process.pid)
            process.send_signal(stop)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == code, errors
        assert children
        assert not list(out.rglob("result.json")), "it was not stopped in its middle"
        deadline_s = time.monotonic() + 30
        while any(Path(f"/proc/{child}").exists() for child in children):
            assert time.monotonic() < deadline_s, "a run goes on"
            time.sleep(0.01)
    assert "stopped; run the same command again to continue" in errors or code == -signal.SIGKILL
    resumed = run("study", study, "--ray", "local", "--out", out)
    assert resumed.exit_code == 0, resumed.output
    assert resumed.stdout == whole.stdout
    assert "resuming" in (out / "easy" / "asl" / "seed-3" / "log.txt").read_text()
