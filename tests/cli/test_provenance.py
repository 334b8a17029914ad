"""A store says how to make it again: as a command, and to `asl-kit extract --like`."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from helpers.command_line import run
from helpers.extraction import make_extractor
from helpers.support import make_spec, write_video

from asl_extract.backbones import get_backbone
from asl_extract.backbones.weights import load_backbone
from asl_extract.settings import ExtractionSettings
from asl_kit.cli import main
from asl_kit.manifests.files import load_manifest, manifest_paths
from asl_kit.store import FeatureStore
from asl_kit.store.command import command_for

SMALL = ["--backbone", "x3d_xs", "--weights", "random", "--window", "16", "--stride", "4", "--size", "32"]


def parsed(command_line: str) -> dict[str, Any]:
    """Return the options of an `asl-kit extract` command, by name, as click parses them."""
    program, name, *words = shlex.split(command_line)
    assert (program, name) == ("asl-kit", "extract")
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command.make_context(name, words).params


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("my videos") / "clip.mp4", frames=24)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("weights") / "my own.pt"
    torch.save(get_backbone("x3d_xs").build(32).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def store(video: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    path = tmp_path_factory.mktemp("stores") / "first store"
    options = ["--precision", "bfloat16", "--dtype", "float32", "--fps", "12.5", "--decoder", "pyav", "--device", "cpu"]
    result = run("extract", video, "-o", path, *SMALL, *options)
    assert result.exit_code == 0, result.stderr
    return FeatureStore.open(path)


SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {"backbone": "x3d_xs", "weights": "random"},
    "all": {
        "backbone": "r3d_18",
        "weights": "random",
        "window_frames": 20,
        "stride_frames": 7,
        "fps": 30000 / 1001,
        "frame_size": 48,
        "precision": "float16",
        "decoder": "pyav",
        "dtype": "float32",
    },
    "whole window": {"backbone": "i3d_rgb", "weights": "random", "window_frames": 24, "frame_size": 32},
    "flow": {
        "backbone": "i3d_flow",
        "weights": "random",
        "flow": "raft_small",
        "flow_weights": "random",
        "frame_size": 32,
    },
    "frames": {"backbone": "resnet50", "weights": "random", "frame_size": 32, "fps": 2},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_command_makes_the_same_spec(settings: dict[str, Any], tmp_path: Path) -> None:
    extractor, (_, dtype) = make_extractor(**settings), ExtractionSettings(**settings).resolve(precision="float32")
    given = parsed(command_for(extractor.spec, dtype=dtype, store=tmp_path / "a store"))
    assert (given["store"], given["videos"]) == (tmp_path / "a store", ("VIDEOS",))
    again = {field.name: given[field.name] for field in fields(ExtractionSettings)}
    assert make_extractor(**again).spec == extractor.spec
    assert ExtractionSettings(**again).resolve(precision="float32")[1] == dtype


def test_command_names_weights_as_the_spec_does(weights_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_extractor(backbone="x3d_xs", weights=weights_file, frame_size=32).spec
    given = parsed(command_for(spec, dtype="float16", store=Path("store")))
    assert given["weights"] == "my own.pt"
    monkeypatch.chdir(weights_file.parent)
    again = make_extractor(backbone="x3d_xs", weights=given["weights"], frame_size=32).spec
    assert again == spec.model_copy(update={"window_frames": 48, "stride_frames": 12})


def test_published_weights_go_by_their_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    spec = get_backbone("x3d_xs")
    published = {"model_state": spec.build(160).state_dict()}
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(published, tmp_path / "hub" / "checkpoints" / "X3D_XS.pyth")
    by_default = load_backbone(spec, frame_size=160)
    by_name = load_backbone(spec, weights="X3D_XS.pyth", frame_size=160)
    assert (by_name.weights, by_name.weights_sha256) == (by_default.weights, by_default.weights_sha256)
    own = {name: tensor + 1 for name, tensor in published["model_state"].items()}
    torch.save(own, tmp_path / "X3D_XS.pyth")  # a file that lies here comes first
    assert load_backbone(spec, weights="X3D_XS.pyth", frame_size=160).weights_sha256 != by_default.weights_sha256


def test_info_prints_the_command_of_a_real_store(store: FeatureStore, video: Path, tmp_path: Path) -> None:
    command = json.loads(run("store", "info", store.path, "--json", "-").stdout)["command"]
    words = shlex.split(command.replace("VIDEOS", shlex.quote(str(video))))[1:]
    words[words.index("-o") + 1] = str(tmp_path / "again")
    result = run(*words, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    again = FeatureStore.open(tmp_path / "again")
    assert (again.spec, again.dtype) == (store.spec, store.dtype)
    np.testing.assert_array_equal(again.read("clip"), store.read("clip"))


def test_like_takes_everything(store: FeatureStore, video: Path, tmp_path: Path) -> None:
    result = run("extract", video, "-o", tmp_path / "again", "--like", store.path, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    again = FeatureStore.open(tmp_path / "again")
    assert (again.spec, again.dtype) == (store.spec, store.dtype)
    np.testing.assert_array_equal(again.read("clip"), store.read("clip"))


def test_like_wants_the_weights_file_and_checks_it(video: Path, weights_file: Path, tmp_path: Path) -> None:
    first = [*SMALL, "--device", "cpu", "--weights", weights_file]
    assert run("extract", video, "-o", tmp_path / "first", *first).exit_code == 0
    like = ["extract", video, "-o", tmp_path / "again", "--device", "cpu", "--like", tmp_path / "first"]
    without = run(*like)
    assert without.exit_code == 2
    assert "features were made with the weights file 'my own.pt', which was not given" in without.stderr
    other = run(*like, "--weights", "random")
    assert other.exit_code == 2
    assert "weights_sha256: " in other.stderr
    assert not (tmp_path / "again").exists()
    renamed = tmp_path / "renamed.pt"
    renamed.write_bytes(weights_file.read_bytes())
    assert run(*like, "--weights", renamed).exit_code == 0
    assert FeatureStore.open(tmp_path / "again").spec == FeatureStore.open(tmp_path / "first").spec


REFUSED = {
    "setting": (["--window", "8", "--decoder", "pyav"], "takes that from the store: leave out --window, --decoder"),
    "stored type": (["--dtype", "float16"], "takes that from the store: leave out --dtype"),
    "preset": (["--preset", "activitynet13/tsp"], "takes that from the store: leave out --preset"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_like_and_a_setting(options: list[str], message: str, store: FeatureStore, video: Path, tmp_path: Path) -> None:
    result = run("extract", video, "-o", tmp_path / "again", "--like", store.path, *options)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: --like {store.path} {message}\n")
    assert not (tmp_path / "again").exists()


CHANGED = {
    "decoder": ({"decoder": "pyav 0.1"}, "decoder: 'pyav 0.1' against 'pyav "),
    "resizing": ({"resize": "by hand"}, "resize: 'by hand' against 'short side "),
    "imported": (
        {"backbone": "imported"},
        "its features were imported: how to extract them from a video is not known\nhint: `asl-kit store info ",
    ),
}


@pytest.mark.parametrize(("changes", "message"), CHANGED.values(), ids=CHANGED)
def test_like_what_cannot_be_made_here(
    changes: dict[str, str], message: str, store: FeatureStore, video: Path, tmp_path: Path
) -> None:
    other = FeatureStore.open_or_create(tmp_path / "other", store.spec.model_copy(update=changes))
    result = run("extract", video, "-o", tmp_path / "again", "--like", other.path, "--device", "cpu")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "again").exists()


def test_like_no_store(video: Path, tmp_path: Path) -> None:
    result = run("extract", video, "-o", tmp_path / "again", "--like", tmp_path / "nowhere")
    assert result.exit_code in (1, 2)
    assert str(tmp_path / "nowhere") in result.stderr.splitlines()[0]


def test_preset(video: Path, tmp_path: Path) -> None:
    options = ["--preset", "thumos14/i3d-actionformer", "--backbone", "i3d_rgb", "--size", "32", "--weights", "random"]
    result = run("extract", video, "-o", tmp_path / "store", *options, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    spec = FeatureStore.open(tmp_path / "store").spec
    stated = (spec.backbone, spec.window_frames, spec.stride_frames, spec.fps, spec.clip_frames, spec.feature_dim)
    assert stated == ("i3d_rgb", 16, 4, None, 16, 1024)


def test_no_backbone(video: Path, tmp_path: Path) -> None:
    result = run("extract", video, "-o", tmp_path / "store")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (2, "error: no backbone is named")


def test_list_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    result = run("extract", "--list-presets")
    assert result.exit_code == 0
    for text in ("ego4d-mq/slowfast-actionformer", "activitynet13/tsp", "i3d_flow", "Two stores"):
        assert text in result.stdout
    unknown = [
        f"{dataset}/{name}"
        for dataset in manifest_paths()
        for name, one in load_manifest(dataset).features.items()
        if not one.backbones
    ]
    assert unknown
    assert not any(name in result.stdout for name in unknown), "no backbone here makes them"


IMPORTS = {
    "windows": ["--window", "16", "--stride", "4", "--fps", "29.97"],
    "offset and name": ["--window", "16", "--stride", "8", "--fps", "30", "--offset-s", "-0.125", "--name", "my own"],
    "each video's own rate": ["--window", "16", "--stride", "4", "--annotations"],
    "resized": ["--resized", "--dtype", "float32", "--annotations"],
    "preset": ["--preset", "ego4d-mq/slowfast-actionformer"],
    "resized preset": ["--preset", "activitynet13/tsn-bsn", "--annotations"],
}


@pytest.mark.parametrize("options", IMPORTS.values(), ids=IMPORTS)
def test_command_of_imported_features_makes_the_same_spec(options: list[str], tmp_path: Path) -> None:
    shape = {"ego4d-mq/slowfast-actionformer": (9, 2304), "activitynet13/tsn-bsn": (100, 400)}.get(options[1], (9, 6))
    folder = tmp_path / "features"
    folder.mkdir()
    prefix = "v_" if "activitynet13/tsn-bsn" in options else ""
    np.save(folder / f"{prefix}a.npy", np.random.default_rng(0).standard_normal(shape))
    table = tmp_path / "segments.csv"
    table.write_text("video,start,end,label,duration,fps\na,0,1,run,4,25\n")
    annotations = tmp_path / "annotations.json"
    assert run("convert", "csv", table, "-o", annotations).exit_code == 0
    given = [*options, annotations] if options[-1] == "--annotations" else options
    layout = [] if "--preset" in options else ["--layout", "time-first"]  # nine features of 6 values could be six of 9
    result = run("import-features", folder, "-o", tmp_path / "first", *given, *layout)
    assert result.exit_code == 0, result.stderr
    first = FeatureStore.open(tmp_path / "first")
    command = command_for(first.spec, dtype=first.dtype, store=tmp_path / "again")
    words = [{"DIR": folder, "ANNOTATIONS": annotations}.get(word, word) for word in shlex.split(command)[1:]]
    result = run(*words)
    assert result.exit_code == 0, result.stderr
    again = FeatureStore.open(tmp_path / "again")
    assert (again.spec, again.dtype) == (first.spec, first.dtype)
    np.testing.assert_array_equal(again.read("a"), first.read("a"))
    assert again.info("a").grid == first.info("a").grid


def test_command_of_flow() -> None:
    spec = make_spec(backbone="i3d_flow", flow="raft_large, 12 updates", flow_weights="C_T_SKHT_V2", fps=25.0)
    line = command_for(spec, dtype="float16", store=Path("flow.zarr"))
    assert "--fps 25 --flow raft_large --flow-weights C_T_SKHT_V2 --precision float32" in line
    assert (parsed(line)["flow"], parsed(line)["flow_weights"]) == ("raft_large", "C_T_SKHT_V2")
