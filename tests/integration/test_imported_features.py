"""Features made elsewhere, from files to a score: import, train, eval; and predict, which cannot make more of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from helpers.command_line import run
from helpers.support import make_task, write_video

from asl_kit.store import FeatureStore

SMALL = (
    "model.width=16", "model.attention_heads=2", "model.attention_window=5", "model.stem_blocks=1",
    "optimizer.batch_size=2", "optimizer.epochs=30", "optimizer.warmup_epochs=1", "optimizer.learning_rate=3e-3",
)  # fmt: skip


def test_import_train_eval(tmp_path: Path) -> None:
    annotations, extracted = make_task(tmp_path)
    files = tmp_path / "files"
    files.mkdir()
    made = FeatureStore.open(extracted)
    for video_id in made.video_ids():
        np.save(files / f"{video_id}-i3d.npy", made.read(video_id).T)
    store = tmp_path / "imported.zarr"
    result = run(
        "import-features", files, "-o", store, "--annotations", annotations, "--window", "16", "--stride", "4",
        "--fps", "30", "--suffix=-i3d", "--dtype", "float32",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    imported = FeatureStore.open(store)
    assert imported.video_ids() == made.video_ids()
    for video_id in made.video_ids():
        assert imported.info(video_id).grid == made.info(video_id).grid
        assert imported.info(video_id).crc32c == made.info(video_id).crc32c

    data = ("--annotations", annotations, "--features", store)
    settings = [word for setting in SMALL for word in ("--set", setting)]
    result = run("train", *data, "--out", tmp_path / "run", *settings)
    assert result.exit_code == 0, result.output
    checkpoint = tmp_path / "run" / "model.ckpt"
    scores = tmp_path / "scores.json"
    result = run("eval", "--checkpoint", checkpoint, *data, "--out", tmp_path, "--json", scores)
    assert result.exit_code == 0, result.output
    # An untrained model reaches 0.01 on this task.
    assert json.loads(scores.read_text())["average_mAP"] > 0.2

    video = write_video(tmp_path / "new.mp4")
    result = run("predict", video, "--checkpoint", checkpoint, "-o", tmp_path / "new.json")
    assert result.exit_code == 2
    assert "error: these features were imported: how to extract them from a video is not known" in result.output
    assert not (tmp_path / "new.json").exists()
