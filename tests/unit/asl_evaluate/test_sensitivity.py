"""What a model has learned to look at, as a document: the curves of classes and of videos."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from helpers.command_line import run
from helpers.support import make_spec, make_task

from asl_kit.checkpoint.files import save_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.model.network import Localizer, Shape
from asl_kit.model.objective import Objective
from asl_kit.recipes.files import load_recipe
from asl_kit.store import FeatureStore

SMALL = ["model.width=16", "model.attention_heads=2", "model.attention_window=5", "data.standardize=false"]
NAMES = ("class 0", "class 1")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_task(tmp_path_factory.mktemp("task"))


def save_model(path: Path, *settings: str, **provenance: Any) -> None:
    """Write an untrained model whose second class looks at the first quarter of a segment."""
    recipe, shape = load_recipe(settings=[*SMALL, *settings]), Shape(feature_dims=(4,), sequence_length=100, levels=3)
    torch.manual_seed(0)
    network, objective = Localizer(recipe, shape, 2), Objective(recipe, [2])
    with torch.no_grad():
        objective.class_sensitivity.mu[1, 0] = -0.25
    checkpoint = Checkpoint(
        weights=network.state_dict(),
        recipe=recipe,
        vocabularies={"action": NAMES},
        shape=shape,
        extraction=(make_spec(),),
        objective=objective.state_dict(),
        provenance=provenance,
    )
    save_checkpoint(checkpoint, path)


def evaluate(task: tuple[Path, Path], model: Path, *more: str) -> Result:
    words = ["--checkpoint", model, "--annotations", task[0], "--features", task[1]]
    return run("eval", *words, "--device", "cpu", *more)


def test_the_document(task: tuple[Path, Path], tmp_path: Path) -> None:
    save_model(tmp_path / "m.ckpt", train_segments=[5, 7])
    result = evaluate(task, tmp_path / "m.ckpt", "--split", "test", "--sensitivity", str(tmp_path / "s.json"))
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "s.json").read_text())

    assert {key: document[key] for key in ("format", "version", "split", "mode")} == {
        "format": "asl-kit/sensitivity", "version": 1, "split": "test", "mode": "quality",
    }  # fmt: skip
    u = document["u"]
    assert (u[0], u[25], u[50], u[-1], len(u)) == (-0.5, -0.25, 0.0, 0.5, 101)
    assert list(document["classes"]) == list(NAMES)
    first, second = document["classes"].values()
    assert first["mu"] == {"classification": 0.0, "start": -0.5, "end": 0.5}
    assert first["sigma"] == pytest.approx({"classification": 1.0, "start": 1.0, "end": 1.0})
    assert (first["training_segments"], second["training_segments"]) == (5, 7)
    # Untrained: exp(-u^2 / 2), and the mean of such curves around both ends; the second class's is shifted.
    assert (first["p_cls"][50], second["p_cls"][25]) == (1.0, 1.0)
    assert first["p_cls"][0] == pytest.approx(math.exp(-1 / 8), abs=1e-4)
    assert first["p_loc"][0] == pytest.approx((1 + math.exp(-1 / 2)) / 2, abs=1e-4)

    store = FeatureStore.open(task[1])
    assert list(document["videos"]) == ["video 6", "video 7"]
    for video_id, curves in document["videos"].items():
        grid = store.info(video_id).grid
        assert (curves["first_s"], curves["step_s"]) == (grid.first_center_s, grid.step_s)
        assert len(curves["q_cls"]) == len(curves["q_loc"]) == grid.length
        assert all(0 < value < 1 for value in curves["q_cls"] + curves["q_loc"])


def test_a_report_shows_what_eval_writes(task: tuple[Path, Path], tmp_path: Path) -> None:
    save_model(tmp_path / "m.ckpt", train_segments=[5, 7])
    result = evaluate(task, tmp_path / "m.ckpt", "--sensitivity", str(tmp_path / "s.json"), "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    words = ["--predictions", str(tmp_path / "detections.json"), "--annotations", str(task[0])]
    more = ["--sensitivity", str(tmp_path / "s.json"), "-o", str(tmp_path / "r.html")]
    result = run("report", *words, *more)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    text = (tmp_path / "r.html").read_text(encoding="utf-8").split('id="timeline-data">')[1].split("</script>")[0]
    document = json.loads(text)
    assert list(document["curves"]) == ["0", "1"]
    assert [video["id"] for video in document["videos"] if "learned" in video] == ["video 6", "video 7"]


def test_long_videos_are_read_in_windows(task: tuple[Path, Path], tmp_path: Path) -> None:
    documents = []
    for name, window in (("whole", 4096), ("windows", 32)):
        save_model(tmp_path / f"{name}.ckpt", f"inference.window_length={window}", "model.stem_blocks=0")
        result = evaluate(task, tmp_path / f"{name}.ckpt", "--sensitivity", str(tmp_path / f"{name}.json"))
        assert result.exit_code == 0, result.output
        documents.append(json.loads((tmp_path / f"{name}.json").read_text())["videos"])
    assert documents[0].keys() == documents[1].keys()
    for whole, windows in zip(documents[0].values(), documents[1].values(), strict=True):
        # Level 0 sees a few features on either side; a window has 8 of context.
        assert windows["q_cls"] == pytest.approx(whole["q_cls"], abs=2e-4)


@pytest.mark.parametrize(
    ("settings", "there", "absent"),
    [
        (["sensitivity.class_level=false"], "videos", "classes"),
        (["sensitivity.instance_level=false"], "classes", "videos"),
    ],
    ids=["instance level only", "class level only"],
)
def test_one_level_alone(settings: list[str], there: str, absent: str, task: tuple[Path, Path], tmp_path: Path) -> None:
    save_model(tmp_path / "m.ckpt", *settings)
    result = evaluate(task, tmp_path / "m.ckpt", "--sensitivity", str(tmp_path / "s.json"))
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "s.json").read_text())
    assert document[there]
    assert document[absent] is None
    if there == "classes":
        assert document["classes"]["class 0"]["training_segments"] is None, "the checkpoint does not say"


def test_a_model_without_sensitivity_is_refused_before_the_work(task: tuple[Path, Path], tmp_path: Path) -> None:
    save_model(tmp_path / "m.ckpt", "sensitivity.class_level=false", "sensitivity.instance_level=false")
    result = evaluate(task, tmp_path / "m.ckpt", "--sensitivity", str(tmp_path / "s.json"))
    assert result.exit_code == 1
    assert f"{tmp_path / 'm.ckpt'}: this model has learned no sensitivity" in result.output
    assert "or leave out --sensitivity" in result.output
    assert not (tmp_path / "s.json").exists()


def test_predictions_have_no_sensitivity(task: tuple[Path, Path]) -> None:
    words = ["--predictions", "p.json", "--annotations", str(task[0]), "--sensitivity", "s.json"]
    result = run("eval", *words)
    assert result.exit_code == 2
    assert "--sensitivity FILE needs one --checkpoint FILE" in result.output
