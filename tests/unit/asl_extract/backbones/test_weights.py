"""Weights: random ones repeat, files and downloads fill the backbone exactly or are refused by name."""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import urllib.error
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model_weights

from asl_extract.backbones import BACKBONES, _pytorchvideo, get_backbone, inception_i3d, torchvision_video, tsp
from asl_extract.backbones.spec import PublishedWeights, StateDict
from asl_extract.backbones.weights import load_backbone, state_sha256
from asl_kit.errors import CheckpointError, MissingFileError

SPEC = get_backbone("x3d_xs")


@pytest.fixture(scope="module")
def whole_state() -> StateDict:
    """A published network's state dict, classifier and all, unlike the random one."""
    from pytorchvideo.models import hub

    torch.manual_seed(5)
    state: StateDict = hub.x3d_xs().state_dict()
    return state


def cut(state: StateDict) -> StateDict:
    return {name: value for name, value in state.items() if not name.startswith("blocks.5.proj.")}


def test_random_weights_repeat_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    first = load_backbone(SPEC, weights="random", frame_size=160)
    assert torch.equal(torch.rand(3), expected)
    second = load_backbone(SPEC, weights="random", frame_size=64)
    assert first.weights == "random"
    assert first.weights_sha256 == second.weights_sha256
    assert not first.backbone.training
    assert not any(parameter.requires_grad for parameter in first.backbone.parameters())


@pytest.mark.parametrize("nested", [None, "state_dict", "model_state", "model", "module", "trunk"])
def test_weights_from_a_file(nested: str | None, whole_state: StateDict, tmp_path: Path) -> None:
    path = tmp_path / "mine.pyth"
    torch.save(whole_state if nested is None else {"epoch": 3, nested: whole_state}, path)
    loaded = load_backbone(SPEC, weights=str(path), frame_size=160)
    assert loaded.weights == "mine.pyth"
    assert loaded.weights_sha256 == state_sha256(cut(whole_state))
    for name, value in loaded.backbone.network.state_dict().items():
        assert torch.equal(value, whole_state[name])


@pytest.mark.parametrize("kind", ["before PyTorch 1.6", "compressed"])
def test_files_that_cannot_be_mapped(kind: str, whole_state: StateDict, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save(whole_state, path, _use_new_zipfile_serialization=kind == "compressed")
    if kind == "compressed":
        with zipfile.ZipFile(path) as saved:
            parts = {part: saved.read(part) for part in saved.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
            for part, content in parts.items():
                written.writestr(part, content)
    loaded = load_backbone(SPEC, weights=str(path), frame_size=160)
    assert loaded.weights_sha256 == state_sha256(cut(whole_state))


def test_weights_saved_from_data_parallel(whole_state: StateDict, tmp_path: Path) -> None:
    torch.save({f"module.{name}": value for name, value in cut(whole_state).items()}, tmp_path / "w.pt")
    loaded = load_backbone(SPEC, weights=str(tmp_path / "w.pt"), frame_size=160)
    assert loaded.weights_sha256 == state_sha256(cut(whole_state))


def test_names_that_do_not_fit_are_listed(whole_state: StateDict, tmp_path: Path) -> None:
    state = cut(whole_state)
    state["blocks.9.extra"] = torch.zeros(2)
    del state["blocks.0.norm.weight"]
    state["blocks.0.norm.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(CheckpointError) as caught:
        load_backbone(SPEC, weights=str(tmp_path / "w.pt"), frame_size=160)
    assert caught.value.message == (
        f"{tmp_path / 'w.pt'}: these are not weights of x3d_xs; missing: blocks.0.norm.weight; "
        "unexpected: blocks.9.extra; shape: blocks.0.norm.bias (7,) instead of (24,)"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"not a checkpoint", "not a state dict that can be loaded safely", id="text"),
        pytest.param(b"", "not a state dict that can be loaded safely", id="empty"),
        pytest.param({"a": 1}, "contains no named tensors", id="no tensors"),
        pytest.param([1, 2], "contains no named tensors", id="a list"),
        pytest.param(
            {"a": torch.ones(1), 2: torch.ones(1)}, "2 is not a tensor of finite numbers", id="a number's name"
        ),
        pytest.param({"a": torch.ones(1).to_sparse()}, "'a' is not a tensor of finite numbers", id="sparse"),
        pytest.param({"a": torch.tensor(torch.nan)}, "'a' is not a tensor of finite numbers", id="not finite"),
    ],
)
def test_files_that_are_no_weights(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        load_backbone(SPEC, weights=str(path), frame_size=160)


def test_missing_file() -> None:
    with pytest.raises(MissingFileError, match=r"nope\.pt: no such weights file") as caught:
        load_backbone(SPEC, weights="nope.pt", frame_size=160)
    assert caught.value.hint == "--weights takes default, random, or the path of a state dict"


def test_pytorchvideos_weights_come_from_torch_hub(
    whole_state: StateDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zoo").mkdir()
    torch.save({"model_state": whole_state, "cfg": "..."}, tmp_path / "zoo" / "X3D_XS.pyth")
    monkeypatch.setattr(_pytorchvideo, "_URL", (tmp_path / "zoo").as_uri() + "/")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    loaded = load_backbone(SPEC, weights="default", frame_size=160)
    assert loaded.weights == "X3D_XS.pyth"
    assert loaded.weights_sha256 == state_sha256(cut(whole_state))
    assert (tmp_path / "hub" / "checkpoints" / "X3D_XS.pyth").is_file()


def test_torchvisions_weights_are_checked_by_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    spec = get_backbone("r3d_18")
    url = torchvision_video.get_model_weights("r3d_18").DEFAULT.url
    served = tmp_path / url.rpartition("/")[2]
    torch.save(spec.build(112).state_dict(), served)
    download = torch.hub.download_url_to_file
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda url, *rest, **options: download(served.as_uri(), *rest, **options)
    )
    with pytest.raises(CheckpointError, match=r"KINETICS400_V1 of r3d_18 are damaged: SHA-256 [0-9a-f]+ instead of"):
        load_backbone(spec, weights="default", frame_size=112)


@pytest.mark.parametrize("name", [name for name, module in BACKBONES.items() if ".torchvision_" in module])
def test_torchvisions_files_are_named_by_their_hash(name: str) -> None:
    assert re.search(r"-[0-9a-f]{8}\.pth$", get_model_weights(name).DEFAULT.url)


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
def test_tsps_weights_are_checked_by_hash(damaged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = get_backbone("r2plus1d_34_tsp")
    assert spec.published.name.endswith("-0d2cf854.pth")
    small = torch.nn.Linear(3, 2)
    state = {**small.state_dict(), "fc1.weight": torch.zeros(200, 512)}
    torch.save({"model": state, "args": argparse.Namespace(clip_len=16)}, tmp_path / "weights")
    digest = hashlib.sha256((tmp_path / "weights").read_bytes()).hexdigest()
    served = (tmp_path / "weights").rename(tmp_path / f"tsp-{'0badc0de' if damaged else digest[:8]}.pth")
    monkeypatch.setattr(tsp, "_RELEASE", tmp_path.as_uri() + "/")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    published = PublishedWeights(served.name, partial(tsp._download, served.name))
    spec = replace(spec, published=published, build=lambda _: torch.nn.Linear(3, 2))
    if damaged:
        with pytest.raises(CheckpointError, match=r"_tsp are damaged: SHA-256 [0-9a-f]+ instead of 0badc0de"):
            load_backbone(spec, weights="default", frame_size=112)
    else:
        loaded = load_backbone(spec, weights="default", frame_size=112)
        assert torch.equal(loaded.backbone.network.state_dict()["weight"], small.weight)


def test_i3ds_weights_are_checked_by_their_id_in_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = get_backbone("i3d_flow")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    kept = tmp_path / "checkpoints" / "flow_imagenet.pt"
    state = spec.build(224).state_dict() | {"logits.conv3d.bias": torch.zeros(400)}
    torch.save(state, kept)
    with pytest.raises(
        CheckpointError, match=r"weights flow_imagenet\.pt of i3d_flow are damaged: git id [0-9a-f]{40} "
    ):
        load_backbone(spec, weights="default", frame_size=224)
    done = subprocess.run(["git", "hash-object", kept], check=True, capture_output=True, text=True)
    load = partial(inception_i3d._download, kept.name, done.stdout.strip())
    spec = replace(spec, published=PublishedWeights(kept.name, load))
    loaded = load_backbone(spec, weights="default", frame_size=224)
    assert loaded.weights_sha256 == state_sha256({name: state[name] for name in state if "logits" not in name})


def test_no_network() -> None:
    def fail() -> StateDict:
        raise urllib.error.URLError("Name or service not known")

    spec = replace(SPEC, published=PublishedWeights("X3D_XS.pyth", fail))
    with pytest.raises(
        CheckpointError, match=r"weights X3D_XS\.pyth of x3d_xs cannot be downloaded: .*not known"
    ) as caught:
        load_backbone(spec, weights="default", frame_size=160)
    assert caught.value.hint == "download them on another machine and pass --weights FILE"


def test_sha256_depends_on_values_and_names_but_not_on_order() -> None:
    state = {"a": torch.arange(3.0), "b": torch.ones(2)}
    assert state_sha256(state) == state_sha256(dict(reversed(state.items())))
    assert state_sha256(state) != state_sha256({"a": torch.arange(3.0), "c": torch.ones(2)})
    assert state_sha256(state) != state_sha256({"a": torch.arange(3.0) + 1, "b": torch.ones(2)})
    assert state_sha256(state) != state_sha256({"a": torch.arange(3.0).half(), "b": torch.ones(2)})
    assert state_sha256(state) == state_sha256(state | {"bn.num_batches_tracked": torch.tensor(4)})
