"""Every backbone: its numbers, its feature, and what it does to its input."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import get_model_weights, list_models
from torchvision.models import video as torchvision_video

from asl_extract.backbones import BACKBONES, get_backbone
from asl_extract.backbones.spec import Backbone
from asl_kit.errors import UsageError

TORCHVISION = [name for name, module in BACKBONES.items() if module.endswith("torchvision_video")]
SMALL = {"x3d_xs": 64, "x3d_s": 64, "r3d_18": 48, "mc3_18": 48, "r2plus1d_18": 48, "slow_r50": 64, "slowfast_r50": 64}

# Clip frames, step at 30 fps, crop, feature values: pytorchvideo's model zoo and torch.hub pages, PySlowFast's configs.
PYTORCHVIDEO = {
    "x3d_xs": (4, 12, 160, 2048),
    "x3d_s": (13, 6, 160, 2048),
    "x3d_m": (16, 5, 224, 2048),
    "x3d_l": (16, 5, 312, 2048),
    "slow_r50": (8, 8, 256, 2048),
    "i3d_r50": (8, 8, 256, 2048),
    "slowfast_r50": (32, 2, 256, 2304),
    "slowfast_r101": (32, 2, 256, 2304),
}


def build(name: str, frame_size: int) -> Backbone:
    spec = get_backbone(name)
    return Backbone(spec.build(frame_size), two_pathways=spec.two_pathways).eval()


def test_all_of_torchvisions_sizes_are_there() -> None:
    assert sorted(TORCHVISION) == sorted(set(list_models(torchvision_video)) - {"mvit_v1_b"})


@pytest.mark.parametrize("name", TORCHVISION)
def test_numbers_are_torchvisions_own(name: str) -> None:
    spec = get_backbone(name)
    weights = get_model_weights(name).DEFAULT
    theirs = weights.transforms()
    assert spec.published.name == weights.name
    assert [spec.frame_size] * 2 == theirs.crop_size
    assert (list(spec.resize.size) if isinstance(spec.resize.size, tuple) else [spec.resize.size]) == theirs.resize_size
    assert (list(spec.mean), list(spec.std)) == (theirs.mean, theirs.std)
    assert spec.clip_frames >= weights.meta.get("min_temporal_size", 1)
    said = weights.meta["_docs"]
    assert f"frame_rate={30 / spec.frame_step:g}`" in said
    if name != "s3d":
        assert f"clip_len={spec.clip_frames}`" in said


@pytest.mark.parametrize("name", PYTORCHVIDEO)
def test_numbers_are_pytorchvideos_own(name: str) -> None:
    spec = get_backbone(name)
    assert (spec.clip_frames, spec.frame_step, spec.frame_size, spec.feature_dim) == PYTORCHVIDEO[name]
    assert (spec.mean, spec.std) == ((0.45,) * 3, (0.225,) * 3)


def test_default_window_is_the_training_clip() -> None:
    assert {
        name: (get_backbone(name).window_frames, get_backbone(name).stride_frames) for name in ("x3d_xs", "r3d_18")
    } == {
        "x3d_xs": (48, 12),
        "r3d_18": (32, 8),
    }


@torch.inference_mode()
def check_feature(name: str, frame_size: int) -> None:
    spec = get_backbone(name)
    clips = torch.randn(1, 3, spec.clip_frames, frame_size, frame_size)
    before = clips.clone()
    features = build(name, frame_size)(clips)
    assert features.shape == (1, spec.feature_dim)
    assert features.isfinite().all()
    assert torch.equal(clips, before)


@pytest.mark.parametrize(("name", "frame_size"), SMALL.items())
def test_feature_at_a_small_size(name: str, frame_size: int) -> None:
    check_feature(name, frame_size)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_feature_at_the_publishers_size(name: str) -> None:
    check_feature(name, get_backbone(name).frame_size)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in BACKBONES if name != "mvit_v2_s"])
@pytest.mark.parametrize("frame_size", [32, 100, 112])
def test_feature_at_other_sizes(name: str, frame_size: int) -> None:
    check_feature(name, frame_size)


@torch.inference_mode()
@pytest.mark.parametrize(("name", "head"), [("r3d_18", "fc"), ("mc3_18", "fc"), ("r2plus1d_18", "fc")])
def test_feature_is_what_torchvisions_classifier_sees(name: str, head: str) -> None:
    clips = torch.randn(2, 3, 16, 48, 48)
    torch.manual_seed(1)
    whole = torchvision_video.__dict__[name]().eval()
    seen = []
    getattr(whole, head).register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    whole(clips)
    torch.manual_seed(1)
    assert torch.equal(build(name, 112)(clips), seen[0])


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "frame_size"), [("x3d_xs", 160), pytest.param("slowfast_r50", 256, marks=pytest.mark.slow)]
)
def test_feature_is_what_pytorchvideos_classifier_sees(name: str, frame_size: int) -> None:
    from pytorchvideo.models import hub

    spec = get_backbone(name)
    clips = torch.randn(1, 3, spec.clip_frames, frame_size, frame_size)
    torch.manual_seed(1)
    whole = getattr(hub, name)().eval()
    seen = []
    whole.blocks[-1].proj.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    slow = clips[:, :, torch.linspace(0, spec.clip_frames - 1, spec.clip_frames // 4).long()]
    whole([slow, clips] if spec.two_pathways else clips)
    torch.manual_seed(1)
    theirs = seen[0]  # (1, places, places, places, D): their classifier works at every place
    torch.testing.assert_close(build(name, frame_size)(clips), theirs.flatten(1, 3).mean(1), rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_slowfast_pathways_are_made_anew_each_time() -> None:
    backbone = build("slowfast_r50", 64)
    clips = torch.randn(1, 3, 32, 64, 64)
    given = []

    def keep(module: torch.nn.Module, inputs: tuple[list[torch.Tensor]]) -> None:
        given.append([pathway.clone() for pathway in inputs[0]])

    backbone.network.register_forward_pre_hook(keep)
    first, second = backbone(clips), backbone(clips)
    assert torch.equal(first, second)
    for slow, fast in given:
        assert torch.equal(fast, clips)
        assert torch.equal(slow, clips[:, :, [0, 4, 8, 13, 17, 22, 26, 31]])


def test_unknown_name_lists_all() -> None:
    with pytest.raises(UsageError, match="unknown backbone 'x3d'") as caught:
        get_backbone("x3d")
    assert caught.value.hint == "backbones: " + ", ".join(sorted(BACKBONES))
    assert len(BACKBONES) == 16
