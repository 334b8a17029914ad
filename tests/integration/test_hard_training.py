"""What a training run meets in the wild: data at its limits, memory that runs out, interruptions within an epoch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command_line import run
from helpers.support import add_video, make_annotation_set, make_features, make_spec
from helpers.training_runs import assert_same_run, command, curve, words

from asl_kit.annotations import write_annotations
from asl_kit.model.network import Localizer
from asl_kit.store import FeatureStore
from asl_train.memory_errors import is_out_of_memory
from asl_train.trainable_model import TrainableModel

# Videos of these lengths, in features of 4/30 s whose first is centred at 8/30 s, and their segments.
USUAL = (40, [(1.0, 2.5, "a"), (3.0, 4.2, "b")])
HARD: dict[str, tuple[dict[str, tuple[int, list[tuple[float, float, str]]]], list[str]]] = {
    "a batch without positives": ({"v0": (40, []), "v1": USUAL}, ["optimizer.batch_size=1"]),
    "a class without a segment": ({"v0": (40, [(1.0, 2.5, "a")]), "v1": (30, [(2.0, 3.0, "a")])}, []),
    "a segment shorter than a step": ({"v0": (40, [(1.0, 1.001, "a"), (2.0, 2.05, "b")])}, []),
    "a video of one feature": ({"v0": (1, [(0.2, 0.4, "a")]), "v1": USUAL}, []),
    "only videos of one feature": ({"v0": (1, [(0.2, 0.4, "a")]), "v1": (1, [])}, []),
    "a batch larger than the dataset": ({"v0": USUAL, "v1": USUAL}, ["optimizer.batch_size=64"]),
    "a segment outside the features": ({"v0": (20, [(50.0, 60.0, "a")]), "v1": USUAL}, []),
    "features that never change": ({"v0": USUAL, "constant": USUAL}, []),
}


def write_task(folder: Path, videos: dict[str, tuple[int, list[tuple[float, float, str]]]]) -> tuple[Path, Path]:
    """Write random features of these lengths with these segments; return the annotations and the store."""
    store = FeatureStore.open_or_create(folder / "features.zarr", make_spec(), dtype="float32")
    for seed, (video_id, (length, _)) in enumerate(videos.items()):
        features = make_features(length, seed=seed)
        add_video(store, video_id, np.ones_like(features) if video_id == "constant" else features)
    rows: dict[str, Any] = {video_id: ("train", segments) for video_id, (_, segments) in videos.items()}
    add_video(store, "idle", make_features(25))
    rows["idle"] = ("validation", [])  # and a split whose videos have no segment
    write_annotations(make_annotation_set(rows, ["a", "b"]), folder / "annotations.json")
    return folder / "annotations.json", store.path


@pytest.mark.parametrize("case", HARD)
def test_training_goes_through(case: str, tmp_path: Path) -> None:
    videos, settings = HARD[case]
    result = run(*command(write_task(tmp_path, videos), tmp_path / "run", *words(*settings)))
    assert result.exit_code == 0, result.output
    said = "1 actions are outside the features of their videos and are ignored: v0"
    assert (said in result.output) == (case == "a segment outside the features")
    lines = curve(tmp_path / "run")
    assert all(math.isfinite(value) for line in lines for value in line.values() if isinstance(value, float))
    saved = torch.load(tmp_path / "run" / "model.ckpt", weights_only=True)
    assert all(value.isfinite().all() for value in [*saved["weights"].values(), *saved["objective"].values()])


def test_no_segment_inside_the_features(tmp_path: Path) -> None:
    task = write_task(tmp_path, {"v0": (20, [(50.0, 60.0, "a")]), "v1": (20, [(0.0, 0.01, "b")])})
    result = run(*command(task, tmp_path / "run"))
    assert result.exit_code == 1
    assert "no action of split 'train' is within the features of its video: v0, v1" in result.output
    assert not list((tmp_path / "run").glob("*.ckpt"))


def interrupt(monkeypatch: pytest.MonkeyPatch, at_step: int, fault: BaseException) -> None:
    """Let the step of that number, from 0, fail."""
    train_step = TrainableModel.train_step

    def failing(self: TrainableModel, batch: Any, step: int, rate: float) -> Any:
        if step == at_step:
            raise fault
        return train_step(self, batch, step, rate)

    monkeypatch.setattr(TrainableModel, "train_step", failing)


@pytest.mark.parametrize("minutes", [1e-9, 10.0], ids=["written after every step", "written with a new best"])
@pytest.mark.parametrize("at_step", [1, 4, 5], ids=["first epoch", "start of an epoch", "middle of an epoch"])
def test_an_interrupted_run_goes_on_bit_for_bit(
    at_step: int, minutes: float, task: tuple[Path, Path], trained: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    out, rarely = tmp_path / "run", words(f"run.checkpoint_minutes={minutes}")
    with monkeypatch.context() as patch:
        interrupt(patch, at_step, KeyboardInterrupt())
        stopped = run(*command(task, out, *rarely))
        assert stopped.exit_code == 130
        assert "stopped; run the same command with --resume to continue" in stopped.output
    if at_step > 1 or minutes < 1:
        saved = torch.load(out / "last.ckpt", weights_only=True)["provenance"]["step"]
        assert saved == (at_step if minutes < 1 else 4), "two steps make an epoch, and two epochs are validated"
    else:
        assert not (out / "last.ckpt").exists()
    result = run(*command(task, out, "--resume"))  # how often it is written may change
    assert result.exit_code == 0, result.output
    assert_same_run(out, trained)


MEMORY_FAULTS = {
    "GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...\nmore"),
    "CPU": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: ..."
    ),
    "numpy": MemoryError("Unable to allocate 2.00 GiB for an array"),
}


@pytest.mark.parametrize("name", MEMORY_FAULTS)
def test_out_of_memory_names_what_to_lower(
    name: str, task: tuple[Path, Path], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt(patch, 5, MEMORY_FAULTS[name])
        result = run(*command(task, out, "--device", "cpu"))
    assert result.exit_code == 1
    assert f"error: cpu: not enough memory: {str(MEMORY_FAULTS[name]).splitlines()[0]}\n" in result.output
    for setting in (
        "optimizer.batch_size (now 2)",
        "data.max_sequence_length (now 2304)",
        "run.precision=bfloat16 (now float32)",
    ):
        assert setting in result.output
    assert run(*command(task, out, "--resume")).exit_code == 0
    assert_same_run(out, trained)


def test_real_faults_of_memory_are_recognised() -> None:
    with pytest.raises(RuntimeError) as fault:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(fault.value)
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_a_gradient_that_is_not_finite_names_the_videos(
    task: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Localizer.forward

    def with_bad_gradient(self: Localizer, *arguments: Any) -> Any:
        output = forward(self, *arguments)
        if self.training:
            output.logits.register_hook(lambda gradient: gradient * math.inf)
        return output

    monkeypatch.setattr(Localizer, "forward", with_bad_gradient)
    result = run(*command(task, tmp_path / "run"))
    assert result.exit_code == 1
    assert "the gradient is not finite at step 1" in result.output
    assert "videos: video" in result.output
    assert not (tmp_path / "run" / "last.ckpt").exists()
