"""Write one small file of every format, as this asl-kit writes them: ``python tests/formats/make.py FOLDER``.

``v1`` is what version 0.1.0 wrote. It stays as it is: what users have keeps opening. Where a format
gets another version, its files are written into a new folder, and both are tested.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.command_line import run
from helpers.support import make_annotation_set, make_features, make_spec, write_video
from helpers.training_runs import command, words

from asl_kit.annotations import write_annotations
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.grid import FeatureGrid
from asl_kit.recipes.files import load_recipe, to_toml
from asl_kit.store import FeatureStore, SourceVideo
from asl_train.trainer import Trainer

SMALLER = words(
    *("model.width=4", "model.head_layers=1", "model.stem_blocks=0", "model.pyramid_levels=1"),
    *("optimizer.epochs=2", "run.validate_every=1", "data.sequence_length=32", "model.drop_path=0.0"),
)
TASK = (Path("annotations.json"), Path("features.zarr"))
RUN = command(TASK, Path("run"), *SMALLER)
RECIPE = ["optimizer.epochs=7", "model.stream_widths=[256, 256]", 'sensitivity.mode="paper"']
MANIFEST = """version = 1
name = "tiny"
title = "A tiny dataset"
home = "https://example.org/tiny"
licence = "CC-BY-4.0"
tiou_thresholds = [0.3, 0.5]
protocol = "thumos14"
splits = { train = "train", evaluate = "test" }

[vocabularies]
action = ["run", "jump"]

[expected.train]
videos = 3

[expected.test]
videos = 1
segments = 2

[features.i3d]
title = "I3D"
source = "https://example.org/features"
dimensions = 2048
window_frames = 16
stride_frames = 4
fps = 25.0

[[exclusions]]
video = "v9"
split = "test"
reason = "broken"
"""


class StoppedError(Exception):
    """Raised in place of what a kill would do."""


def network_output(path: Path) -> dict[str, list[float]]:
    """Return what a checkpoint's network says of features that are always the same."""
    features = torch.from_numpy(np.sin(np.arange(32 * 4, dtype=np.float32)).reshape(1, 32, 4))
    with torch.inference_mode():
        output = load_checkpoint(path).build()(features, torch.ones(1, 32, dtype=torch.bool))
    return {name: getattr(output, name).flatten().tolist() for name in ("logits", "offsets")}


def make_project() -> None:
    """Write the project of five videos."""
    Path("videos").mkdir()
    for number in range(5):
        write_video(Path("videos") / f"clip{number}.mp4", frames=60 + 10 * number)
    rows = [f"clip{number},0.5,2.5,run\nclip{number},3,5.5,jump" for number in range(5)]
    Path("segments.csv").write_text("\n".join(["video,start,end,label", *rows, ""]))
    words = ["segments.csv", "videos", "--device", "cpu", "--weights", "random", "--out", "project"]
    assert run("init", *words).exit_code == 0
    shutil.rmtree("videos")
    Path("segments.csv").unlink()


def make() -> None:
    """Write everything into the current folder."""
    rows = [(1.0, 2.5, "run"), (2.0, 4.0, "jump")]
    annotations = make_annotation_set(
        {"a": ("train", rows), "b/ü 1": ("train", rows[:1]), "c": ("validation", rows), "idle": ("train", [])}
        | {"e": ("test", rows), "unknown": ("test", None)},
        ["run", "jump"],
    )
    write_annotations(annotations, TASK[0])
    with mock.patch("asl_kit.store.ledger.default_worker", return_value="host-1"):
        store = FeatureStore.open_or_create(TASK[1], make_spec(), dtype="float16")
        for number, video_id in enumerate(annotations.videos):
            features = make_features(32, seed=number)
            grid = FeatureGrid.from_windows(fps=30.0, window_frames=16, stride_frames=4, length=32)
            store.write(SourceVideo(video_id, grid, duration_s=128 / 30, fps=30.0, frames=128), features)
        store.ledger.record("broken", "failed", "the file is empty", seconds=0.5)

    save_last = Trainer._save_last

    def stop_after_the_first(self: Trainer, curve: object) -> None:
        save_last(self, curve)  # type: ignore[arg-type]
        raise StoppedError

    with mock.patch.object(Trainer, "_save_last", stop_after_the_first), pytest.raises(StoppedError):
        run(*RUN)
    shutil.copytree("run", "stopped", ignore=shutil.ignore_patterns("tensorboard", "model.ckpt"))
    assert run(*RUN, "--resume").exit_code == 0
    Path("run/model.ckpt").rename("model.ckpt")
    Path("run/curve.jsonl").rename("expected_curve.jsonl")
    shutil.rmtree("run")
    Path("stopped").rename("run")

    scored = ["--checkpoint", "model.ckpt", "--annotations", TASK[0], "--features", TASK[1], "--split", "test"]
    assert run("eval", *map(str, scored), "--out", "scores", "--sensitivity", "sensitivity.json").exit_code == 0
    Path("scores/detections.json").rename("detections.json")
    shutil.rmtree("scores")
    Path("recipe.toml").write_text(to_toml(load_recipe(settings=RECIPE)))
    make_project()
    Path("tiny.toml").write_text(MANIFEST)
    expected = {
        "recipe": load_recipe(settings=RECIPE).model_dump(mode="json"),
        "features": {video_id: store.read(video_id)[:2].tolist() for video_id in store.video_ids()},
        "network": network_output(Path("model.ckpt")),
    }
    Path("expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir()
    os.chdir(folder)
    make()
