"""Every backbone: its numbers, its feature, and what it does to its input."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model, get_model_weights, list_models
from torchvision.models import video as torchvision_video

from asl_extract.backbones import BACKBONES, get_backbone
from asl_extract.backbones.spec import Backbone
from asl_extract.backbones.weights import load_backbone
from asl_extract.frames import FramePreparer, ResizeRule
from asl_kit.errors import CheckpointError, UsageError

TORCHVISION = [name for name, module in BACKBONES.items() if module.endswith("torchvision_video")]
IMAGES = [name for name, module in BACKBONES.items() if module.endswith("torchvision_image")]
LARGER = {name for name in BACKBONES if get_backbone(name).large and not name.endswith("_s")}
LARGER |= {"vit_l_16", "omnivore_swin_s", "omnivore_swin_b", "omnivore_swin_l", "swin3d_s", "swin3d_b", "swin_b"}
LARGER |= {"convnext_base", "slowfast_r101", "x3d_m", "x3d_l"}
"""Wider and deeper than the smallest of their family, which is run, and otherwise the same."""
SMALL = {"x3d_xs": 64, "x3d_s": 64, "r3d_18": 48, "mc3_18": 48, "r2plus1d_18": 48, "slow_r50": 64, "slowfast_r50": 64}
SMALL |= {"i3d_rgb": 32, "i3d_flow": 64, "csn_r101": 32, "r2plus1d_34_tsp": 32, "resnet50": 64, "swin_t": 64}
SMALL |= {"convnext_tiny": 32}

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
    "csn_r101": (32, 2, 256, 2048),
}


def build(name: str, frame_size: int) -> Backbone:
    spec = get_backbone(name)
    return Backbone(spec.build(frame_size), two_pathways=spec.two_pathways).eval()


def test_all_of_torchvisions_sizes_are_there() -> None:
    assert sorted(TORCHVISION) == sorted(list_models(torchvision_video))


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
    clips = torch.randn(1, len(spec.mean), spec.clip_frames, frame_size, frame_size)
    before = clips.clone()
    features = build(name, frame_size)(clips)
    assert features.shape == (1, spec.feature_dim)
    assert features.isfinite().all()
    assert torch.equal(clips, before)


@pytest.mark.parametrize(("name", "frame_size"), SMALL.items())
def test_feature_at_a_small_size(name: str, frame_size: int) -> None:
    check_feature(name, frame_size)


@pytest.mark.parametrize("name", sorted(name for name in BACKBONES if get_backbone(name).large))
def test_feature_of_a_large_network_without_memory(name: str) -> None:
    spec = get_backbone(name)
    with torch.device("meta"):
        backbone = build(name, 224)
    clips = torch.empty(1, 3, spec.clip_frames, 224, 224, device="meta")
    assert backbone.to("meta")(clips).shape == (1, spec.feature_dim)


# VideoMAE V2's extract_tad_feature.py at 29eab1e; validation in VideoMAE's kinetics.py and in InternVideo2's
# datasets/kinetics_sparse.py, with --short_side_size 224.
# EgoVLP's run/test_mq.py, configs/eval/mq.json and data_loader/transforms.py at 928406c; Ego4D's
# configs/omnivore_video.yaml and models/omnivore.py at a44f40b.
INPUTS = {
    "egovlp": (4, 16, 4, ResizeRule(224, 224, rounded=False), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "omnivore_swin_l": (32, 32, 8, ResizeRule(256, 224, rounded=False), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "videomaev2_g": (16, 16, 4, ResizeRule((224, 224), 224, rounded=False), (0.0,) * 3, (1.0,) * 3),
    "videomae_b": (16, 16, 4, ResizeRule(224, 224, rounded=True), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "internvideo2_6b": (8, 16, 4, ResizeRule(224, 224, rounded=True), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@pytest.mark.parametrize("name", INPUTS)
def test_input_is_the_authors(name: str) -> None:
    spec = get_backbone(name)
    found = (spec.clip_frames, spec.window_frames, spec.stride_frames, spec.resize, spec.mean, spec.std)
    assert found == INPUTS[name]


def test_frames_of_videomaev2_are_those_of_its_script() -> None:
    # extract_tad_feature.py: to float, from 0 to 1, then F.interpolate to (224, 224), bilinear, per frame
    frames = torch.randint(0, 256, (2, 90, 160, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    video = frames.permute(3, 0, 1, 2).to(torch.float32) / 255
    theirs = torch.nn.functional.interpolate(video, size=(224, 224), mode="bilinear", align_corners=False)
    spec = get_backbone("videomaev2_g")
    prepare = FramePreparer(rule=spec.resize, mean=spec.mean, std=spec.std, device=torch.device("cpu"))
    torch.testing.assert_close(prepare(frames).permute(3, 0, 1, 2), theirs, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*BACKBONES} - {*SMALL} - LARGER))
def test_feature_at_another_size(name: str) -> None:
    """What needs the publisher's size has it; `test_host_waits` finds the shape of all at that size in little time."""
    spec = get_backbone(name)
    check_feature(name, spec.frame_size if spec.fixed_size else 100)


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
def test_feature_is_what_pytorchvideos_classifier_sees() -> None:
    """That of SlowFast is in `test_ego4ds_feature_is_the_mean_of_what_the_head_is_given`."""
    from pytorchvideo.models import hub

    clips = torch.randn(1, 3, 4, 160, 160)
    torch.manual_seed(1)
    whole = hub.x3d_xs().eval()
    seen = []
    whole.blocks[-1].proj.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    whole(clips)
    torch.manual_seed(1)
    theirs = seen[0]  # (1, places, places, places, D): their classifier works at every place
    torch.testing.assert_close(build("x3d_xs", 160)(clips), theirs.flatten(1, 3).mean(1), rtol=1e-5, atol=1e-6)


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


@pytest.mark.parametrize("name", IMAGES)
def test_numbers_are_those_of_torchvisions_images(name: str) -> None:
    spec = get_backbone(name)
    weights = get_model_weights(name).DEFAULT
    theirs = weights.transforms()
    assert spec.published.name == weights.name
    assert ([spec.frame_size], [spec.resize.size]) == (theirs.crop_size, theirs.resize_size)
    assert (spec.resize.interpolation, spec.resize.antialias) == (theirs.interpolation.value, theirs.antialias)
    assert (list(spec.mean), list(spec.std)) == (theirs.mean, theirs.std)
    assert (spec.clip_frames, spec.window_frames, spec.stride_frames) == (1, 1, 1)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "head", "frame_size"),
    [
        ("resnet50", "fc", 64),
        pytest.param("vit_b_16", "heads", 224, marks=pytest.mark.slow),
        ("swin_t", "head", 64),
        ("convnext_tiny", "classifier.2", 64),
    ],
)
def test_feature_is_what_the_image_classifier_sees(name: str, head: str, frame_size: int) -> None:
    clips = torch.randn(2, 3, 1, frame_size, frame_size)
    torch.manual_seed(1)
    whole = get_model(name).eval()
    seen = []
    whole.get_submodule(head).register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    whole(clips[:, :, 0])
    torch.manual_seed(1)
    assert torch.equal(build(name, frame_size)(clips), seen[0])


@pytest.mark.parametrize("name", ["resnet50", "swin_t", "convnext_tiny"])
def test_whole_image_classifier_loads(name: str, tmp_path: Path) -> None:
    whole = get_model(name).state_dict()
    torch.save(whole, tmp_path / "whole.pth")
    loaded = load_backbone(get_backbone(name), weights=str(tmp_path / "whole.pth"), frame_size=224)
    assert all(torch.equal(whole[name], tensor) for name, tensor in loaded.backbone.network.state_dict().items())


def tsp_checkpoint() -> dict[str, torch.Tensor]:
    """Return weights as TSP saves them, with the middle channels that its convolutions have.

    Names: its models/model.py, and torchvision's VideoResNet, whose stem and blocks it takes.
    """
    width = {"layer1": (64, 3), "layer2": (128, 4), "layer3": (256, 6), "layer4": (512, 3)}
    state: dict[str, torch.Tensor] = {}

    def norm(name: str, channels: int) -> None:
        state.update({f"{name}.{part}": torch.rand(channels) for part in ("weight", "bias", "running_mean")})
        state[f"{name}.running_var"] = torch.ones(channels)
        state[f"{name}.num_batches_tracked"] = torch.tensor(1)

    def convolution(name: str, channels: int, out: int) -> None:
        middle = (channels * out * 3 * 3 * 3) // (channels * 3 * 3 + 3 * out)
        state[f"{name}.0.0.weight"] = torch.randn(middle, channels, 1, 3, 3)
        norm(f"{name}.0.1", middle)
        state[f"{name}.0.3.weight"] = torch.randn(out, middle, 3, 1, 1)
        norm(f"{name}.1", out)

    state["features.stem.0.weight"] = torch.randn(45, 3, 1, 7, 7)
    norm("features.stem.1", 45)
    state["features.stem.3.weight"] = torch.randn(64, 45, 3, 1, 1)
    norm("features.stem.4", 64)
    before = 64
    for layer, (out, blocks) in width.items():
        for block in range(blocks):
            name = f"features.{layer}.{block}"
            convolution(f"{name}.conv1", before, out)
            convolution(f"{name}.conv2", out, out)
            if before != out:
                state[f"{name}.downsample.0.weight"] = torch.randn(out, before, 1, 1, 1)
                norm(f"{name}.downsample.1", out)
            before = out
    heads = {"fc1": (200, 512), "fc2": (2, 1024)}  # with the global video feature, the second sees twice as much
    for head, shape in heads.items():
        state |= {f"{head}.weight": torch.zeros(shape), f"{head}.bias": torch.zeros(shape[0])}
    return state


def test_tsp_checkpoint_loads(tmp_path: Path) -> None:
    state = tsp_checkpoint()
    options = argparse.Namespace(backbone="r2plus1d_34", clip_len=16)  # they save their options beside the weights
    torch.save({"model": state, "epoch": 5, "args": options}, tmp_path / "tsp.pth")
    loaded = load_backbone(get_backbone("r2plus1d_34_tsp"), weights=str(tmp_path / "tsp.pth"), frame_size=112)
    own = loaded.backbone.network.state_dict()
    assert own.keys() == {name for name in state if not name.startswith("fc")}
    assert all(torch.equal(state[name], tensor) for name, tensor in own.items())
    norms = [module for module in loaded.backbone.modules() if isinstance(module, torch.nn.BatchNorm3d)]
    assert {module.eps for module in norms} == {1e-3}
    assert len(norms) == 2 + 16 * 4 + 3


def test_checkpoint_with_code_is_refused(tmp_path: Path) -> None:
    torch.save({"model": {"features.stem.0.weight": torch.zeros(1)}, "args": Path("x")}, tmp_path / "tsp.pth")
    with pytest.raises(CheckpointError, match="not a state dict that can be loaded safely"):
        load_backbone(get_backbone("r2plus1d_34_tsp"), weights=str(tmp_path / "tsp.pth"), frame_size=112)


def test_input_is_that_of_ego4ds_features() -> None:
    # https://github.com/facebookresearch/Ego4d at a44f40b: ego4d/features/models/slowfast.py, configs/slowfast_r101_8x8
    spec = get_backbone("slowfast_r101")
    assert (spec.feature_dim, spec.clip_frames) == (2304, 32)
    assert spec.resize == ResizeRule(256, 256, rounded=False)
    assert (spec.mean, spec.std) == ((0.45,) * 3, (0.225,) * 3)


@pytest.mark.slow
@torch.inference_mode()
def test_ego4ds_feature_is_the_mean_of_what_the_head_is_given() -> None:
    from pytorchvideo.models import hub

    torch.manual_seed(1)
    whole = hub.slowfast_r101().eval()
    whole.blocks[6] = torch.nn.Identity()  # their feature: its input, averaged over all places
    clips = torch.randn(1, 3, 32, 256, 256)
    slow = clips[:, :, torch.linspace(0, 31, 8).long()]
    theirs = whole([slow, clips]).flatten(2).mean(2)
    torch.manual_seed(1)
    torch.testing.assert_close(build("slowfast_r101", 256)(clips), theirs, rtol=1e-5, atol=1e-6)


def test_unknown_name_lists_all() -> None:
    with pytest.raises(UsageError, match="unknown backbone 'x3d'") as caught:
        get_backbone("x3d")
    assert (
        caught.value.hint
        == "Did you mean 'x3d_s'? Backbones: " + ", ".join(sorted(BACKBONES)) + "; or hf:MODEL, timm:MODEL"
    )
    assert len(BACKBONES) == 46


@pytest.mark.parametrize("name", ["x3d_xs", "swin_t", "convnext_tiny"])
def test_weights_cast_once_give_the_same_features(name: str) -> None:
    """As autocast, which casts them in each forward pass."""
    backbone = load_backbone(get_backbone(name), weights="random", frame_size=64).backbone
    spec = get_backbone(name)
    clips = torch.rand((1, 3, spec.clip_frames, 64, 64), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = backbone(clips)
        backbone.cast_weights(torch.bfloat16)
        found = backbone(clips)
    assert {p.dtype for p in backbone.parameters()} == {torch.bfloat16, torch.float32}  # norms are not cast
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
    assert found.std() > 0
