"""Features made elsewhere, from files to a score: import, train, eval; and predict, which makes more of a preset's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.command_line import run
from helpers.extraction import make_extractor
from helpers.support import make_annotation_set, make_task, write_model, write_video

from asl_extract.imported import specs_like
from asl_kit.annotations import write_annotations
from asl_kit.errors import SpecConflictError
from asl_kit.feature_import.presets import get_preset
from asl_kit.feature_import.timing import Timing
from asl_kit.inference.detector import Detector
from asl_kit.manifests.schema import FeatureSet
from asl_kit.prediction.trained_model import load_model
from asl_kit.store import FeatureStore
from asl_kit.store.spec import ExtractionSpec

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


OWN = FeatureSet(
    title="Two networks, side by side",
    source="-",
    dimensions=4096,
    window_frames=8,
    stride_frames=4,
    backbones=("x3d_xs", "x3d_s"),
    extraction_notes=("Their frames were smaller.",),
)
PRESETS = {"own/both": OWN, "own/x3d": OWN.model_copy(update={"backbones": ("x3d_xs",), "dimensions": 2048})}


@pytest.fixture
def presets(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("asl_kit.feature_import.presets", "asl_extract.imported"):
        monkeypatch.setattr(f"{module}.list_presets", lambda: PRESETS)


def succeed(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stderr


@pytest.mark.usefixtures("presets")
def test_a_model_of_a_presets_imported_features_predicts_as_one_of_extracted_ones(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "files").mkdir()
    rows: dict[str, Any] = {}
    for number, split in enumerate(("train", "train", "validation")):
        write_video(tmp_path / "videos" / f"video {number}.mp4", frames=30 + 5 * number)
        rows[f"video {number}"] = (split, [(0.3, 1.0, "push"), (1.2, 2.0, "pull")])
    annotated = make_annotation_set(rows, ["push", "pull"])
    videos = {name: video.model_copy(update={"fps": 10.0}) for name, video in annotated.videos.items()}
    annotated = annotated.model_copy(update={"videos": videos})
    write_annotations(annotated, tmp_path / "annotations.json")
    extracted, imported = tmp_path / "extracted.zarr", tmp_path / "imported.zarr"
    of_preset = ("--preset", "own/x3d", "--dtype", "float32")
    succeed("extract", tmp_path / "videos", "-o", extracted, *of_preset, "--weights", "random", "--device", "cpu")
    store = FeatureStore.open(extracted)
    for video_id in store.video_ids():
        np.save(tmp_path / "files" / f"{video_id}.npy", store.read(video_id))
    annotations = ("--annotations", tmp_path / "annotations.json")
    succeed("import-features", tmp_path / "files", "-o", imported, *annotations, *of_preset)

    found = {}
    settings = [word for setting in (*SMALL[:5], "optimizer.epochs=1") for word in ("--set", setting)]
    for features in (extracted, imported):
        out = tmp_path / features.stem
        succeed("train", *annotations, "--features", features, "--out", out, *settings, "--device", "cpu")
        model = ("--checkpoint", out / "model.ckpt", "--weights", "random", "--device", "cpu", "--workers", 0)
        said = succeed("predict", tmp_path / "videos", *model, "-o", out / "found.json")
        note = "note: own/x3d: imported for training, extracted here by x3d_xs. Their frames were smaller."
        assert (note in " ".join(said.split())) == (features is imported)
        found[features] = json.loads((out / "found.json").read_text())["results"]
    assert all(len(of_video) > 10 for of_video in found[imported].values())
    assert found[imported] == found[extracted]


@pytest.mark.usefixtures("presets")
def test_streams_that_a_preset_has_side_by_side(tmp_path: Path) -> None:
    spec = Timing.of(OWN).spec(dimension=4096, weights="own/both")
    model = load_model(write_model(tmp_path / "model.ckpt", spec), device="cpu", weights=["random", "random"])
    video = write_video(tmp_path / "new.mp4", frames=24)
    parts = [
        make_extractor(backbone=name, weights="random", window_frames=8, stride_frames=4).extract(video)
        for name in OWN.backbones
    ]
    features = np.concatenate([part.features for part in parts], axis=1)
    detector = Detector.from_ensemble(model.ensemble, "cpu")
    expected = detector.tables(["new"], [detector.detect(features, parts[0].grid, parts[0].duration_s)])
    assert len(expected.named["action"].rows("new")) > 10
    assert model.detect(video).tables.named["action"].rows("new") == expected.named["action"].rows("new")


def imported_as(name: str, **changes: Any) -> ExtractionSpec:
    preset = get_preset(name)
    return Timing.of(preset).spec(dimension=preset.dimensions, weights=name).model_copy(update=changes)


def test_a_published_set_of_two_streams() -> None:
    rgb, flow = specs_like(imported_as("thumos14/i3d-actionformer", fps=25.0), precision="float32")
    assert (rgb.backbone, rgb.flow, flow.backbone, flow.flow) == ("i3d_rgb", "", "i3d_flow", "tvl1")
    assert {(spec.window_frames, spec.stride_frames, spec.fps) for spec in (rgb, flow)} == {(16, 4, 25.0)}


REFUSED = {
    "another grid": (
        imported_as("hacs/internvideo2-6b", stride_frames=4, fps=25.0, sampling="imported, offset 0.5 s"),
        "imported as hacs/internvideo2-6b, but not as it states (the record against the preset):\n"
        "  stride_frames: 4 against 8\n  fps: 25.0 against 30.0\n"
        "  sampling: 'imported, offset 0.5 s' against 'imported'",
        "import-features DIR -o STORE --preset hacs/internvideo2-6b",
    ),
    "no backbone": (
        imported_as("activitynet13/tsn-bsn"),
        "imported as activitynet13/tsn-bsn, which asl-kit cannot extract from a video (TSN, RGB and optical flow",
        "asl-kit extract --list-presets",
    ),
    "no preset": (
        imported_as("thumos14/tsn", weights="mine"),
        "these features were imported: how to extract them from a video is not known",
        "--preset DATASET/NAME",
    ),
}


@pytest.mark.parametrize(("spec", "message", "hint"), REFUSED.values(), ids=REFUSED)
def test_features_that_cannot_be_extracted(spec: ExtractionSpec, message: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(SpecConflictError) as caught:
        load_model(write_model(tmp_path / "model.ckpt", spec), device="cpu")
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_weights_that_only_a_file_has(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model.ckpt", imported_as("thumos14/videomaev2-g"))
    result = run("predict", write_video(tmp_path / "new.mp4"), "--checkpoint", model, "-o", tmp_path / "new.json")
    assert result.exit_code == 2
    assert "the weights of videomaev2_g cannot be downloaded automatically" in result.stderr
    assert "docs/MODEL_ZOO.md and give --weights FILE" in result.stderr
    assert not (tmp_path / "new.json").exists()
