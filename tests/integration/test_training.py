"""Training from annotations and a store: it learns, repeats, survives a kill, and says what is wrong."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command_line import run
from helpers.faults import full_disk, read_only
from helpers.support import add_video, make_annotation_set, make_spec, make_task
from helpers.training_runs import assert_same_run, command, curve

from asl_kit.store import FeatureStore
from asl_train.run_folder import RunFolder


def test_the_model_learns_and_is_scored(task: tuple[Path, Path], tmp_path: Path) -> None:
    annotations, features = map(str, task)
    out = tmp_path / "run"
    assert run(*command(task, out, "--set", "optimizer.epochs=25")).exit_code == 0
    losses = [line["total"] for line in curve(out) if line["group"] == "train"]
    assert losses[-1] < losses[0] / 2
    scores = tmp_path / "scores.json"
    result = run(
        "eval", "--checkpoint", str(out / "model.ckpt"), "--annotations", annotations, "--features", features,
        "--out", str(tmp_path), "--json", str(scores),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    # An untrained model reaches 0.01 on this task, a trained one about 0.9.
    assert json.loads(scores.read_text())["average_mAP"] > 0.4
    assert (tmp_path / "detections.json").exists()


def test_the_same_seed_gives_the_same_weights(task: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    assert run(*command(task, tmp_path / "again")).exit_code == 0
    assert_same_run(tmp_path / "again", trained)


def test_a_group_of_one_process_trains_as_no_group(
    task: tuple[Path, Path], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``torchrun --nproc-per-node 1`` goes through the collective operations."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in {
        "RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "test",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    result = run(*command(task, tmp_path / "run", "--device", "cpu"))
    assert result.exit_code == 0, result.output
    assert_same_run(tmp_path / "run", trained)


def test_another_seed_gives_other_weights(task: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    assert run(*command(task, tmp_path / "other", "--set", "run.seed=1")).exit_code == 0
    assert curve(tmp_path / "other")[0] != curve(trained)[0]


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    task: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    arguments = command(task, out, "--set", "run.checkpoint_minutes=1e-9")
    process = subprocess.Popen([sys.executable, "-m", "asl_kit", *arguments], stderr=subprocess.DEVNULL)
    while process.poll() is None and not (out / "last.ckpt").exists():
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was not killed in its middle"
    with (out / "curve.jsonl").open("a") as file:
        file.write('{"step": 3, "torn')  # as a kill in the middle of a write leaves it
    (out / ".last.ckpt.0123abcd.tmp").touch()
    (out / ".model.ckpt.0123abcd.tmp").touch()
    result = run(*command(task, out, "--resume"))
    assert result.exit_code == 0, result.output
    assert "resuming" in result.stderr
    assert_same_run(out, trained)
    assert not [path for path in out.iterdir() if path.suffix == ".tmp"]


def test_a_finished_run_is_not_overwritten(task: tuple[Path, Path], trained: Path) -> None:
    result = run(*command(task, trained))
    assert result.exit_code == 2
    assert "already holds a training run" in result.output
    assert "--resume" in result.output


@pytest.mark.parametrize(
    ("limit_bytes", "minutes", "place"),
    [(0, 5.0, "curve.jsonl"), (20_000, 1e-9, "last.ckpt"), (20_000, 5.0, "model.ckpt")],
    ids=["at once", "checkpoint", "best model"],
)
def test_a_full_disk(
    limit_bytes: int, minutes: float, place: str, task: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with full_disk(limit_bytes):
        result = run(*command(task, out, "--set", f"run.checkpoint_minutes={minutes}"))
    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1] == f"error: {out}/{place}: cannot be written: File too large"
    assert "Traceback" not in result.output
    assert {path.name for path in out.iterdir()} <= {".lock", "curve.jsonl", "tensorboard"}
    if limit_bytes:
        assert run(*command(task, out, "--resume")).exit_code == 0
        assert_same_run(out, trained)


def test_tensorboard_reads_the_curve(trained: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(trained / "tensorboard")).Reload()
    losses = {line["step"]: line["total"] for line in curve(trained) if line["group"] == "train"}
    assert {event.step: event.value for event in read.Scalars("train/total")} == pytest.approx(losses)


def test_two_runs_in_one_folder(task: tuple[Path, Path], trained: Path) -> None:
    """The one that comes second is refused, with and without --resume; the first is not disturbed."""
    before = {path: path.read_bytes() for path in trained.glob("*.*")}
    with RunFolder(trained, resume=True):
        for more in ([], ["--resume"]):
            result = run(*command(task, trained, *more))
            assert result.exit_code == 2
            assert f"error: {trained}: another process is training into this folder" in result.output
    assert {path: path.read_bytes() for path in trained.glob("*.*")} == before
    assert run(*command(task, trained, "--resume")).exit_code == 0


def test_features_and_checkpoints_that_can_only_be_read(task: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    with read_only(task[1]), read_only(trained):
        assert run(*command(task, tmp_path / "run")).exit_code == 0
        assert_same_run(tmp_path / "run", trained)
        arguments = [
            "--annotations",
            str(task[0]),
            "--features",
            str(task[1]),
            "--checkpoint",
            str(trained / "model.ckpt"),
        ]
        assert run("eval", *arguments).exit_code == 0
        result = run(*command(task, trained, "--resume"))
    assert result.exit_code == 1
    assert f"error: {trained}: cannot be written: " in result.output


def test_resuming_with_another_recipe_is_refused(task: tuple[Path, Path], trained: Path) -> None:
    result = run(*command(task, trained, "--resume", "--set", "optimizer.learning_rate=1.0"))
    assert result.exit_code == 1
    assert "recipe optimizer.learning_rate: 0.003 then, 1.0 now" in result.output


@pytest.mark.parametrize("change", ["replaced", "same again", "removed", "not recorded"])
def test_resuming_with_other_features_is_refused(
    change: str, task: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    """As after `extract --replace-changed`. A video that is not trained on does not matter."""
    shutil.copytree(trained, tmp_path / "run")
    shutil.copytree(task[1], tmp_path / "store")
    store = FeatureStore.open(tmp_path / "store")
    info, features = store.info("video 0"), store.read("video 0")
    if change in ("replaced", "not recorded"):
        store.write(info, features + np.float16(0.5), replace=True)
    elif change == "same again":
        store.write(info, features, replace=True)
        add_video(store, "another", features)
    else:
        shutil.rmtree(store.folder("video 0"))
    if change == "not recorded":
        fields = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
        del fields["provenance"]["features_sha256"]
        torch.save(fields, tmp_path / "run" / "last.ckpt")
    result = run(*command((task[0], store.path), tmp_path / "run", "--resume"))
    is_refused = change in ("replaced", "removed")
    assert result.exit_code == is_refused, result.output
    assert ("features: other videos, or other values of a video" in result.output) == is_refused


def test_the_checkpoint_carries_what_it_takes_to_use_it(task: tuple[Path, Path], trained: Path) -> None:
    fields = torch.load(trained / "model.ckpt", weights_only=True)
    assert fields["vocabularies"] == {"action": ["class 0", "class 1"]}
    assert fields["extraction"][0]["backbone"] == "x3d_xs"
    assert fields["recipe"]["optimizer"]["epochs"] == 4
    assert fields["provenance"]["train_split"] == "train"
    assert fields["provenance"]["validation_split"] == "validation"
    assert fields["provenance"]["train_videos"] == 4
    assert "average mAP" in fields["provenance"]["kept"]
    assert fields["training"] is None


def write_nan(store: Path, video_id: str) -> None:
    """Damage a stored video as a faulty disk or another tool might."""
    folder = FeatureStore.open(store).folder(video_id)
    chunk = next(path for path in sorted(folder.rglob("*")) if path.is_file() and path.name.startswith("c"))
    data = bytearray(chunk.read_bytes())
    data[0:4] = b"\x00\x00\xc0\x7f"  # float32 NaN, little endian
    chunk.write_bytes(data)


def test_features_that_are_not_finite_are_named(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    write_nan(task[1], "video 1")
    result = run(*command(task, tmp_path / "run"))
    assert result.exit_code == 1
    assert "video video 1: feature 0 is not finite" in result.output
    assert not (tmp_path / "run" / "model.ckpt").exists()


def test_no_video_with_features(tmp_path: Path) -> None:
    annotations, _ = make_task(tmp_path)
    store = FeatureStore.open_or_create(tmp_path / "other.zarr", make_spec())
    add_video(store, "elsewhere", np.zeros((5, 4), np.float32))
    result = run(*command((annotations, tmp_path / "other.zarr"), tmp_path / "run"))
    assert result.exit_code == 1
    assert "no video of split 'train' has features" in result.output
    assert "4 without features" in result.output


def test_no_segment_to_learn_from(tmp_path: Path) -> None:
    from asl_kit.annotations import write_annotations

    _, features = make_task(tmp_path)
    rows = {f"video {number}": ("train", []) for number in range(4)}
    write_annotations(make_annotation_set(rows, ["class 0"]), tmp_path / "empty.json")
    result = run(*command((tmp_path / "empty.json", features), tmp_path / "run"))
    assert result.exit_code == 1
    assert "has an action" in result.output


def test_a_loss_that_is_not_finite_names_the_videos(task: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(*command(task, tmp_path / "run", "--set", "loss.localization_weight=1e39"))
    assert result.exit_code == 1
    assert "the loss is not finite at step" in result.output
    assert "video" in result.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "checkpoint format version is 99, this asl-kit reads version 1"),
        ({"format": "other"}, "not a checkpoint of asl-kit"),
        ({"recipe": {"nosuch": {}}}, "nosuch: unknown key"),
        ({"shape": {}}, "damaged checkpoint"),
    ],
    ids=["version", "format", "recipe", "shape"],
)
def test_wrong_checkpoints(
    change: dict[str, Any], message: str, task: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    path = tmp_path / "changed.ckpt"
    torch.save(torch.load(trained / "model.ckpt", weights_only=True) | change, path)
    result = run("eval", "--checkpoint", str(path), "--annotations", str(task[0]), "--features", str(task[1]))
    assert result.exit_code == 1
    assert message in result.output
    assert str(path) in result.output


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.pop("optimizer"), "KeyError: 'optimizer'"),
        (lambda state: state.update(step=-1), "step -1 of"),
        (lambda state: state.update(step=10**12), "step 1000000000000 of"),
        (lambda state: state.update(best="good"), "best 'good'"),
        (lambda state: state["average"].update(updates=float("inf")), "OverflowError"),
        (lambda state: state["optimizer"]["state"][0].update(exp_avg=torch.zeros(3)), "exp_avg of the optimizer"),
        (lambda state: state["optimizer"]["state"][0].update(step=torch.tensor(-1.0)), "step of the optimizer"),
    ],
    ids=["no optimizer", "before the start", "behind the end", "best", "updates", "shape", "optimizer's step"],
)
def test_a_damaged_training_state(
    damage: Callable[[dict[str, Any]], object], message: str, task: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    path = tmp_path / "run" / "last.ckpt"
    fields = torch.load(path, weights_only=True)
    damage(fields["training"])
    torch.save(fields, path)
    before = path.read_bytes()
    result = run(*command(task, tmp_path / "run", "--resume"))
    assert result.exit_code == 1
    assert f"{path}: its training state is damaged" in " ".join(result.output.split())
    assert message in " ".join(result.output.split())
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line",
    [b"\xff\n", b"[]\n", b"{}\n", b'{"step": "x"}\n', b"[" * 10_000 + b"\n", b'{"step": 1'],
    ids=["no text", "a list", "no step", "step of text", "nested", "torn"],
)
def test_a_damaged_line_of_the_curve(line: bytes, tmp_path: Path) -> None:
    """It was torn, with all behind it, by whatever ended the run; those steps are run again."""
    sound = b'{"step": 1, "note": "\xe2\x80\xa8"}\n'
    with RunFolder(tmp_path, resume=True) as folder:
        folder.curve.write_bytes(sound + line + sound)
        folder.keep_curve_until(5)
        assert folder.curve.read_bytes() == sound


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 torn"], ids=["empty", "text", "torn zip"])
def test_files_that_are_no_checkpoint(content: bytes, task: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "file.ckpt"
    path.write_bytes(content)
    result = run("eval", "--checkpoint", str(path), "--annotations", str(task[0]), "--features", str(task[1]))
    assert result.exit_code == 1
    assert "not a checkpoint, or damaged" in result.output


def test_a_class_that_the_model_does_not_know(task: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    document = json.loads(task[0].read_text())
    document["vocabularies"]["action"].append("juggling")
    annotations = tmp_path / "more.json"
    annotations.write_text(json.dumps(document))
    result = run(
        "eval", "--checkpoint", str(trained / "model.ckpt"), "--annotations", str(annotations),
        "--features", str(task[1]),
    )  # fmt: skip
    assert result.exit_code == 1
    assert "does not know 1 of the annotations' classes: juggling" in result.output


def test_features_of_another_backbone(task: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    store = FeatureStore.open_or_create(tmp_path / "other.zarr", make_spec(backbone="r3d_18"))
    assert store.video_ids() == []
    result = run(
        "eval", "--checkpoint", str(trained / "model.ckpt"), "--annotations", str(task[0]),
        "--features", str(tmp_path / "other.zarr"),
    )  # fmt: skip
    assert result.exit_code == 2
    assert "backbone: 'x3d_xs' against 'r3d_18'" in result.output


def test_two_feature_streams(task: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    _, second = make_task(tmp_path / "second", dimension=3)
    both = f"{task[1]},{second}"
    arguments = command((task[0], Path(both)), tmp_path / "run")
    assert run(*arguments).exit_code == 0
    checkpoint = str(tmp_path / "run" / "model.ckpt")
    result = run("eval", "--checkpoint", checkpoint, "--annotations", str(task[0]), "--features", both)
    assert result.exit_code == 0, result.output
    result = run("eval", "--checkpoint", checkpoint, "--annotations", str(task[0]), "--features", str(task[1]))
    assert result.exit_code == 2
    assert "trained on 2 feature streams (x3d_xs random, x3d_xs random), 1 given" in result.output


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision(precision: str, task: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run(*command(task, out, "--set", f"run.precision={precision}", "--device", "cpu"))
    assert result.exit_code == 0, result.output
    for name in ("classification", "localization"):
        losses = [line[name] for line in curve(out) if line["group"] == "train"]
        exact = [line[name] for line in curve(trained) if line["group"] == "train"]
        assert losses != exact, "the precision had no effect"
        # float16 leaves out the steps that find its first loss scale, and so learns a little later.
        assert losses == pytest.approx(exact, rel=0.2 if precision == "float16" else 0.02)


def test_starting_weights_are_taken_and_resumed(
    task: tuple[Path, Path], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, out = tmp_path / "start.ckpt", tmp_path / "run"
    shutil.copy(trained / "model.ckpt", start)
    arguments = command(task, out, "--set", "optimizer.encoder_learning_rate_share=0.1", "--start-from", str(start))
    whole = run(*command(task, tmp_path / "whole", *arguments[-4:]))
    assert whole.exit_code == 0, whole.output
    assert "Starting weights from" in whole.stderr
    first, last = (next(x["total"] for x in curve(folder)) for folder in (tmp_path / "whole", trained))
    assert first < last

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("asl_train.trainer.Trainer._train_epoch", stop)
        assert run(*arguments).exit_code == 130
    other = run(*command(task, out, *arguments[-4:-1], str(trained / "last.ckpt"), "--resume"))
    assert other.exit_code == 1
    assert "this run started from start.ckpt, another file" in other.stderr
    start.unlink()
    result = run(*arguments, "--resume")
    assert result.exit_code == 0, result.output
    assert_same_run(out, tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [("no.ckpt", "no such file", 2), ("annotations.json", "not a checkpoint", 1)],
    ids=["absent", "not a checkpoint"],
)
def test_starting_weights_that_cannot_be_read(
    name: str, message: str, code: int, task: tuple[Path, Path], tmp_path: Path
) -> None:
    result = run(*command(task, tmp_path / "run", "--start-from", str(task[0].parent / name)))
    assert result.exit_code == code, result.output
    assert f"{name}: {message}" in result.stderr
