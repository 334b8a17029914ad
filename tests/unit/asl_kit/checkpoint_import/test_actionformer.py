"""What an import takes from ActionFormer's files, and what it refuses; the numbers are in tests/reference."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers import command_line
from helpers.actionformer_files import state
from helpers.support import make_annotation_set, make_spec

from asl_kit.annotations import write_annotations
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint_import import ImportedCheckpoint, import_checkpoint
from asl_kit.errors import AslKitError, CheckpointError
from asl_kit.store import FeatureStore

FIELDS: dict[str, Any] = {
    "dataset_name": "thumos",
    "dataset": {"num_classes": 20, "input_dim": 4, "feat_stride": 4, "num_frames": 16, "max_seq_len": 32},
    "model": {
        "backbone_arch": [1, 0, 1],
        "regression_range": [[0, 4], [4, 10000]],
        "embd_dim": 4,
        "fpn_dim": 4,
        "head_dim": 4,
        "n_head": 1,
        "head_num_layers": 1,
    },
    "loader": {"batch_size": 2},
    "train_cfg": {"droppath": 0.0},
}
CLASSES = [f"class {number}" for number in range(20)]


def changed(**tables: dict[str, Any] | str) -> dict[str, Any]:
    fields = json.loads(json.dumps(FIELDS))
    for table, values in tables.items():
        fields[table] = fields.get(table, {}) | values if isinstance(values, dict) else values
    return fields


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    return tmp_path


def write(folder: Path, fields: dict[str, Any] | None = None, **content: Any) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(FIELDS if fields is None else fields), encoding="utf-8")
    parallel = OrderedDict((f"module.{name}", value) for name, value in state().items())
    doubled = OrderedDict((name, value * 2) for name, value in parallel.items())
    torch.save({"epoch": 35, "state_dict": parallel, "state_dict_ema": doubled} | content, folder / "af.pth.tar")


def run(folder: Path, **options: Any) -> ImportedCheckpoint:
    return import_checkpoint(folder / "af.pth.tar", folder / "ours.ckpt", config=folder / "config.yaml", **options)


@pytest.mark.parametrize(("weights", "factor"), [("ema", 2.0), ("plain", 1.0)])
def test_either_weights(folder: Path, weights: str, factor: float) -> None:
    run(folder, weights=weights)
    checkpoint = load_checkpoint(folder / "ours.ckpt")
    head = state()["cls_head.cls_head.conv.weight"] * factor
    torch.testing.assert_close(checkpoint.weights["classification_head.last.conv.weight"], head)
    assert (checkpoint.provenance["weights"], checkpoint.provenance["epoch"]) == (weights, 35)
    assert not (checkpoint.weights["branch.0.attention_path.scale"] != 1).any(), "drop path 0 has no scale there"


def test_from_the_command_line(folder: Path) -> None:
    result = command_line.run("import-checkpoint af.pth.tar --from actionformer --config config.yaml -o new/ours.ckpt")
    assert result.exit_code == 0, result.output
    assert "classes: 20, named by manifest thumos14" in result.stdout
    assert "windows of 16 frames, one every 4, at the rate of each video" in result.stdout
    assert load_checkpoint(folder / "new/ours.ckpt").class_names[4] == "CliffDiving"


def test_the_recipe_says_what_the_configuration_does(folder: Path) -> None:
    fields = changed(
        dataset={"trunc_thresh": 0.3, "crop_ratio": [0.8, 1.0]},
        model={"n_mha_win_size": [9, -1], "use_abs_pe": True, "max_buffer_len_factor": 4.0},
        train_cfg={"label_smoothing": 0.1, "init_loss_norm": 250, "clip_grad_l2norm": 1.0, "center_sample": "none"},
        test_cfg={"min_score": 0.01, "pre_nms_topk": 7, "max_seg_num": 8, "nms_sigma": 0.4, "multiclass_nms": False},
        opt={"learning_rate": 1e-4, "epochs": 16, "warmup_epochs": 4, "weight_decay": 0.05},
    )
    write(folder, fields | {"devices": ["cuda:0", "cuda:1"]})
    recipe = run(folder).checkpoint.recipe
    assert (recipe.data.sequence_length, recipe.data.min_segment_share, recipe.data.crop_ratio) == (32, 0.3, (0.8, 1.0))
    assert not recipe.data.standardize
    assert (recipe.model.attention_window, recipe.model.position_embedding) == ((9, 0), True)
    assert (recipe.model.padding, recipe.model.pyramid_levels, recipe.model.drop_path) == ("full", 2, 0.0)
    assert (recipe.loss.label_smoothing, recipe.loss.initial_positives, recipe.loss.center_radius) == (
        0.1,
        250,
        "segment",
    )
    assert (recipe.inference.min_score, recipe.inference.candidate_min_score) == (0.01, 0.001)
    assert (recipe.inference.candidates_per_level, recipe.inference.max_detections) == (7, 8)
    assert (recipe.inference.nms_sigma, recipe.inference.per_class, recipe.inference.voting_tiou) == (0.4, False, 0.75)
    assert (recipe.inference.window_length, recipe.inference.min_length_steps) == (128, 0.05)
    assert (recipe.optimizer.learning_rate, recipe.optimizer.weight_decay) == (2e-4, 0.05)
    assert (recipe.optimizer.epochs, recipe.optimizer.warmup_epochs, recipe.optimizer.gradient_clip) == (20, 4, 1.0)
    assert not any((recipe.sensitivity.class_level, recipe.sensitivity.instance_level, recipe.contrastive.enabled))


def test_activitynets_configurations_learn_one_class(folder: Path) -> None:
    """The classes are the dataset's, which scores of videos name."""
    fields = changed(dataset_name="anet", dataset={"num_classes": 1}, test_cfg={"ext_score_file": "data/cuhk.json"})
    write(folder, fields, state_dict_ema={f"module.{name}": value for name, value in state(classes=1).items()})
    imported = run(folder)
    assert "classes: 200, named by manifest activitynet13, learned as one" in imported.to_text()
    assert imported.notes == (
        "test_cfg.ext_score_file: these scores name the classes: eval --video-scores data/cuhk.json",
    )
    checkpoint = load_checkpoint(folder / "ours.ckpt")
    assert checkpoint.recipe.data.one_class
    assert (len(checkpoint.vocabularies["action"]), checkpoint.class_names) == (200, ("action",))
    write_annotations(make_annotation_set({}, ["run", "jump"]), folder / "own.json")
    assert run(folder, annotations=folder / "own.json").checkpoint.vocabularies == {"action": ("run", "jump")}


def test_voting_is_off_where_classes_are_apart(folder: Path) -> None:
    assert run(folder).checkpoint.recipe.inference.voting_tiou == 0


def test_what_matters_only_while_training_is_told(folder: Path) -> None:
    write(folder, changed(opt={"type": "SGD", "schedule_type": "multistep"}, train_cfg={"loss_weight": -1}))
    notes = run(folder).notes
    assert [note.partition(":")[0] for note in notes] == ["opt.type", "opt.schedule_type", "train_cfg.loss_weight"]


NOT_SUPPORTED = {
    "backbone": ("model", "backbone_type", "conv", "only 'convTransformer' is supported"),
    "neck": ("model", "fpn_type", "fpn", "only 'identity' is supported"),
    "start level": ("model", "fpn_start_level", 1, "only 0 is supported"),
    "scale factor": ("model", "scale_factor", 4, "only 2 is supported"),
    "embedding kernel": ("model", "embd_kernel_size", 5, "only 3 is supported"),
    "head kernel": ("model", "head_kernel_size", 1, "only 3 is supported"),
    "no norm in the heads": ("model", "head_with_ln", False, "only True is supported"),
    "relative positions": ("model", "use_rel_pe", True, "only False is supported"),
    "narrower heads": ("model", "head_dim", 2, "only 4 is supported"),
    "streams": ("model", "embd_dim", [2, 2], "expected one for each of dataset.input_dim"),
    "windows": ("model", "n_mha_win_size", [9, 9, 9], "expected one for each of 2 levels"),
    "ranges": ("model", "regression_range", [[0, 4], [6, 10000]], "expected 2 ranges whose ends double"),
    "short ranges": ("model", "regression_range", [[0, 4], [4, 8]], "the last 64 or more"),
    "sequence length": ("dataset", "max_seq_len", 33, "expected a multiple of 2"),
    "learning rate": ("opt", "learning_rate", 0, "greater than 0"),
    "downsampling": ("dataset", "downsample_rate", 2, "only 1 is supported"),
    "sampling": ("train_cfg", "center_sample", "box", "only 'radius' and 'none' are supported"),
    "hard NMS": ("test_cfg", "nms_method", "hard", "only 'soft' is supported"),
}


@pytest.mark.parametrize(("table", "key", "found", "expected"), NOT_SUPPORTED.values(), ids=NOT_SUPPORTED)
def test_what_is_not_supported_is_named(folder: Path, table: str, key: str, found: object, expected: str) -> None:
    write(folder, changed(**{table: {key: found}}))
    with pytest.raises(CheckpointError) as caught:
        run(folder)
    message = caught.value.message
    assert message.startswith(f"{folder / 'config.yaml'}: {table}.{key}: ")
    assert expected in message
    shown = message.rpartition("found ")[2].replace(".0", "").replace("(", "[").replace(")", "]")
    assert shown == repr(found)
    assert not (folder / "ours.ckpt").exists()


def test_all_faults_are_listed_at_once(folder: Path) -> None:
    write(folder, changed(model={"fpn_type": "fpn", "backbone_type": "conv"}, test_cfg={"nms_method": "none"}))
    with pytest.raises(CheckpointError, match="3 errors"):
        run(folder)


WRONG_FILES = {
    "no configuration": ("config.yaml", None, "config.yaml: no such file"),
    "no YAML": ("config.yaml", b"model: {fpn_type: identity", "config.yaml: not a YAML file: .*line 1"),
    "code in YAML": ("config.yaml", b"x: !!python/object/apply:os.getcwd []", "config.yaml: not a YAML file"),
    "deep YAML": ("config.yaml", b"[" * 10_000, "config.yaml: not a YAML file: "),
    "empty YAML": ("config.yaml", b"", "config.yaml: .*found None"),
    "unknown key": ("config.yaml", b"model: {mamba: 1}", "config.yaml: model.mamba: unknown key"),
    "wrong type": ("config.yaml", b"model: {n_head: many}", "config.yaml: model.n_head: .*found 'many'"),
    "no checkpoint": ("af.pth.tar", None, "af.pth.tar: no such file"),
    "damaged": ("af.pth.tar", b"PK\x03\x04 not really", "af.pth.tar: not a checkpoint, or damaged"),
}


@pytest.mark.parametrize(("name", "content", "message"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_wrong_files(folder: Path, name: str, content: bytes | None, message: str) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(AslKitError, match=message):
        run(folder)
    assert not (folder / "ours.ckpt").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short(folder: Path, share: float) -> None:
    whole = (folder / "af.pth.tar").read_bytes()
    (folder / "af.pth.tar").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"af\.pth\.tar: not a checkpoint, or damaged"):
        run(folder)


class Loud:
    """Unpickling it would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("executed",))


def test_nothing_in_a_checkpoint_is_executed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, epoch=Loud())
    with pytest.raises(CheckpointError, match="holds more than tensors and plain values"):
        run(folder)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict_ema": None}, "no 'state_dict_ema' with weights; it holds: epoch, state_dict, state_dict_ema"),
        (
            {"state_dict_ema": state(21)},
            r"cls_head.cls_head.conv.bias: \(21,\) in the file, \(20,\) by the configuration",
        ),
        (
            {"state_dict_ema": state() | {"neck.lateral_convs.0.conv.weight": torch.ones(1)}},
            "neck.lateral_convs.0.conv",
        ),
        (
            {"state_dict_ema": {"reg_head.scale.0.scale": torch.ones(())}},
            r"projection.0.conv.weight \(asl-kit's name\): missing in the file",
        ),
    ],
    ids=["no weights", "other classes", "a neck", "others missing"],
)
def test_weights_that_do_not_fit(folder: Path, content: dict[str, Any], message: str) -> None:
    write(folder, **content)
    with pytest.raises(CheckpointError, match=message):
        run(folder)


def test_classes_by_annotations(folder: Path) -> None:
    annotations = make_annotation_set({"v": ("test", [])}, CLASSES)
    write_annotations(annotations, folder / "a.json")
    assert run(folder, annotations=folder / "a.json").checkpoint.class_names == tuple(CLASSES)
    write_annotations(make_annotation_set({"v": ("test", [])}, CLASSES[:3]), folder / "a.json")
    with pytest.raises(CheckpointError, match=r"a.json: 3 classes in vocabulary 'action'; .* says num_classes: 20"):
        run(folder, annotations=folder / "a.json")


def their_annotations(folder: Path, labels: list[tuple[int, str]]) -> None:
    (folder / "data").mkdir()
    segments = [{"label": label, "label_id": number} for number, label in labels]
    (folder / "data/a.json").write_text(json.dumps({"database": {"v": {"annotations": segments}}}))
    (folder / "configs").mkdir()
    write(folder, changed(dataset={"json_file": "./data/a.json"}))
    (folder / "config.yaml").rename(folder / "configs/config.yaml")


def test_classes_by_their_own_annotations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    their_annotations(folder, [(3, "fourth"), (1, "second")])
    monkeypatch.chdir("/")
    arguments = {"config": folder / "configs/config.yaml"}
    imported = import_checkpoint(folder / "af.pth.tar", folder / "ours.ckpt", **arguments)
    assert imported.checkpoint.class_names[:4] == ("BaseballPitch", "second", "Billiards", "fourth")
    assert imported.classes_from.endswith("data/a.json")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([(20, "late")], "label_id 20 of 'late': expected one of 0 to 19"),
        ([(1, "one"), (1, "uno")], "label_id 1 of 'one': expected .*; it is also that of 'uno'"),
        ([("x", "one")], "not an annotation file in ActionFormer's format"),
    ],
)
def test_their_annotations_may_be_wrong(folder: Path, labels: list[tuple[int, str]], message: str) -> None:
    their_annotations(folder, labels)
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(folder / "af.pth.tar", folder / "ours.ckpt", config=folder / "configs/config.yaml")


@pytest.mark.parametrize(
    ("dataset", "count", "vocabulary", "first"),
    [("epic", 97, "verb", "take"), ("epic", 300, "noun", "tap"), ("ego4d", 110, "action", '"clean_/_repair_small')],
)
def test_classes_by_manifest(folder: Path, dataset: str, count: int, vocabulary: str, first: str) -> None:
    write(folder, changed(dataset_name=dataset, dataset={"num_classes": count}), state_dict_ema=state(count))
    checkpoint = run(folder).checkpoint
    assert len(checkpoint.class_names) == count
    assert checkpoint.class_names[0].startswith(first)
    assert checkpoint.provenance["vocabulary"] == checkpoint.recipe.data.vocabulary == vocabulary


def test_classes_that_nothing_names(folder: Path) -> None:
    write(folder, changed(dataset={"num_classes": 7, "json_file": "gone.json"}), state_dict_ema=state(7))
    with pytest.raises(CheckpointError, match=r"names of 7 classes of dataset 'thumos' .*'gone.json'.* action 20"):
        run(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"feature_dim": 5}, r"dataset.input_dim: 4, the stores hold \[5\]"),
        ({"stride_frames": 8}, "dataset.feat_stride: 4, .*s.zarr says 8"),
        ({"window_frames": 32}, "dataset.num_frames: 16, .*s.zarr says 32"),
        ({"fps": 15.0}, "dataset.default_fps: 30.0, .*s.zarr says 15.0"),
    ],
    ids=["fits", "values", "stride", "window", "rate"],
)
def test_stores_say_how_features_were_made(folder: Path, changes: dict[str, Any], message: str | None) -> None:
    write(folder, changed(dataset={"default_fps": 30}))
    store = FeatureStore.open_or_create(folder / "s.zarr", make_spec(**({"fps": 30.0} | changes)), dtype="float32")
    if message is None:
        assert run(folder, features=[store.path]).checkpoint.extraction == (store.spec,)
        return
    with pytest.raises(AslKitError, match=message):
        run(folder, features=[store.path])


def test_joined_folders_need_the_stores(folder: Path) -> None:
    write(folder, changed(dataset={"feat_folder": ["one", "two"]}))
    with pytest.raises(CheckpointError, match=r"dataset\.input_dim: 4 values from 2 folders") as caught:
        run(folder)
    assert "--features STORE,STORE" in str(caught.value.hint)
    stores = [folder / "a.zarr", folder / "b.zarr"]
    for path, dim in zip(stores, (3, 1), strict=True):
        FeatureStore.open_or_create(path, make_spec(feature_dim=dim), dtype="float32")
    checkpoint = run(folder, features=stores).checkpoint
    assert [spec.feature_dim for spec in checkpoint.extraction] == [3, 1]
    assert checkpoint.shape.feature_dims == (4,)


def test_weights_that_are_not_known_agree_with_any() -> None:
    known, unknown = make_spec(weights="thumos14/i3d-actionformer"), make_spec(weights="")
    assert unknown.differences(known) == known.differences(unknown) == []
    assert known.differences(make_spec(weights="other")) == ["weights: 'thumos14/i3d-actionformer' against 'other'"]
