"""``timm:`` backbones: features against timm's own transform and network in a plain loop, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest
import timm
import torch
from helpers.extraction import make_extractor
from helpers.support import write_video
from PIL import Image
from safetensors.torch import save_file

from asl_extract.backbones import get_backbone
from asl_extract.backbones.weights import load_backbone
from asl_kit.errors import CheckpointError, MissingDependencyError, UsageError

NAMES = ("resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_050")  # pooled by mean, by class token, before a layer


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", frames=6, size=(320, 240))


@pytest.fixture(scope="module")
def frames(video: Path) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    with av.open(str(video)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@torch.inference_mode()
@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_timm(video: Path, frames: list[np.ndarray], name: str, tmp_path: Path) -> None:
    """With the classifier in the file, as timm publishes it, and a loop over images."""
    torch.manual_seed(1)
    whole = timm.create_model(name).eval()
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    extractor = make_extractor(backbone=f"timm:{name}", weights=str(tmp_path / "weights.safetensors"), stride_frames=2)
    ours = extractor.extract(video).features
    data = timm.data.resolve_model_data_config(whole)
    as_bytes = timm.data.create_transform(**data, normalize=False)
    mean, std = (torch.tensor(data[key])[:, None, None] for key in ("mean", "std"))
    theirs = [
        whole.forward_head(
            whole.forward_features(((as_bytes(torch.from_numpy(frame).permute(2, 0, 1)) / 255 - mean) / std)[None]),
            pre_logits=True,
        )[0]
        for frame in frames[::2]
    ]
    np.testing.assert_allclose(ours, torch.stack(theirs).numpy(), rtol=1e-4, atol=1e-4)
    assert (extractor.spec.mean, extractor.spec.std) == (tuple(data["mean"]), tuple(data["std"]))
    assert extractor.spec.backbone == f"timm:{name}.{whole.pretrained_cfg['tag']}"


def test_frames_are_those_that_timm_makes_with_pillow(frames: list[np.ndarray]) -> None:
    spec = get_backbone("timm:vit_tiny_patch16_224")
    theirs = timm.data.create_transform(
        **timm.data.resolve_model_data_config(timm.create_model("vit_tiny_patch16_224"))
    )
    tensors = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
    difference = spec.resize.apply(tensors) - torch.stack([theirs(Image.fromarray(frame)) for frame in frames])
    level = 1 / 255 / 0.5
    assert difference.abs().max() < 2.01 * level
    assert (difference.abs() > 0.01 * level).float().mean() < 0.02


def test_pretraining_is_part_of_the_name() -> None:
    assert get_backbone("timm:resnet18").name == get_backbone("timm:resnet18.a1_in1k").name == "timm:resnet18.a1_in1k"
    other = get_backbone("timm:resnet18.fb_ssl_yfcc100m_ft_in1k")
    assert other.published.name == "timm/resnet18.fb_ssl_yfcc100m_ft_in1k"
    first, second = (load_backbone(other, frame_size=224, weights="random").weights_sha256 for _ in range(2))
    assert first == second


def test_published_weights_come_from_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    spec = get_backbone("timm:resnet10t")
    with pytest.raises(CheckpointError, match=r"timm:resnet10t\.c3_in1k: 'timm/resnet10t\.c3_in1k' cannot be had from"):
        load_backbone(spec, frame_size=224)
    torch.manual_seed(1)
    published = timm.create_model("resnet10t").state_dict()
    model = tmp_path / "models--timm--resnet10t.c3_in1k"
    (model / "snapshots" / ("c" * 40)).mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("c" * 40)
    save_file(published, model / "snapshots" / ("c" * 40) / "model.safetensors")
    loaded = load_backbone(spec, frame_size=224)
    assert loaded.weights == "timm/resnet10t.c3_in1k"
    for name, value in loaded.backbone.network.state_dict().items():
        assert torch.equal(value, published[name]), name


def test_what_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"has no model 'resnet_18'") as caught:
        get_backbone("timm:resnet_18")
    assert "resnet18" in str(caught.value.hint)
    with pytest.raises(UsageError, match=r"timm:resnet18\.nope: Invalid pretrained tag"):
        get_backbone("timm:resnet18.nope")
    with pytest.raises(UsageError, match=r"timm:resnet18 has one way to pool, got --pooling mean"):
        get_backbone("timm:resnet18", pooling="mean")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match="timm:MODEL need timm") as missing:
        get_backbone("timm:resnet26")
    assert missing.value.hint == "pip install 'asl-kit[timm]'"
