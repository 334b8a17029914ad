"""VideoMAE and InternVideo2 against their authors' code: names, shapes, features (make_video_transformers.py)."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from asl_extract.backbones import BACKBONES, get_backbone
from asl_extract.backbones.internvideo2 import InternVideo2, convert
from asl_extract.backbones.spec import Backbone, BackboneSpec, StateDict
from asl_extract.backbones.videomae import VideoMae
from asl_extract.backbones.weights import load_backbone, state_sha256
from asl_kit.errors import CheckpointError, UsageError

HERE = Path(__file__).parent
SCRIPT = runpy.run_path(str(HERE / "scripts" / "make_video_transformers.py"))
CASES = SCRIPT["CASES"]
EXPECTED = np.load(HERE / "video_transformers.npz")
LARGE = [name for name, module in BACKBONES.items() if module.endswith((".videomae", ".internvideo2"))]
Shapes = dict[str, tuple[int, ...]]

# The authors' network of each backbone as they fine-tune it, and others whose weights load.
AUTHORS = {
    "videomae_s": ["vit_small_patch16"],
    "videomae_b": ["vit_base_patch16"],
    "videomae_l": ["vit_large_patch16"],
    "videomae_h": ["vit_huge_patch16"],
    "videomaev2_s": ["vit_small_patch16"],
    "videomaev2_b": ["vit_base_patch16"],
    "videomaev2_g": ["vit_giant_patch14"],
    "internvideo2_s": ["internvideo2_small_patch14", "distill_internvideo2_small_patch14"],
    "internvideo2_b": ["internvideo2_base_patch14", "distill_internvideo2_base_patch14"],
    "internvideo2_l": ["internvideo2_large_patch14", "distill_internvideo2_large_patch14"],
    "internvideo2_1b": [
        "internvideo2_1B_patch14", "pretrain_internvideo2_1B_patch14", "stage2_internvideo2_1b",
    ],
    "internvideo2_6b": [
        "internvideo2_6B_patch14", "pretrain_internvideo2_6B_patch14", "stage2_internvideo2_6b",
    ],
}  # fmt: skip


def authors_shapes() -> dict[str, Shapes]:
    """Return name and shape of every tensor in the state dicts of the authors' networks."""
    found: dict[str, Shapes] = {}
    for line in (HERE / "video_transformers_parameters.txt").read_text().splitlines():
        network, name, sizes = line.split(" ")
        shape = tuple(map(int, sizes.split(",")))
        blocks = re.match(r"blocks\.0-(\d+)\.", name)
        names = (
            [name.replace(blocks[0], f"blocks.{block}.") for block in range(int(blocks[1]) + 1)] if blocks else [name]
        )
        found.setdefault(network, {}).update(dict.fromkeys(names, shape))
    return found


SHAPES = authors_shapes()


def small(case: str) -> BackboneSpec:
    """Return a backbone of the size of a case."""
    kind, frames, size, sizes = CASES[case]
    spec = get_backbone(f"{kind}_s")
    if kind == "videomae":
        return replace(spec, build=lambda _: VideoMae(frame_size=size, **sizes))
    return replace(
        spec,
        build=lambda _: InternVideo2(frames=frames, frame_size=size, **sizes),
        convert=lambda state: convert(state, frames=frames, places=(size // 14) ** 2),
    )


def weights_of(spec: BackboneSpec) -> StateDict:
    """Return weights by the rule of the script, without those that are not used."""
    state: StateDict = SCRIPT["random_state"](SCRIPT["shapes_of"](spec.build(224)))
    return state


def test_all_are_compared() -> None:
    assert sorted(AUTHORS) == sorted(LARGE)


@pytest.mark.parametrize(("name", "authors"), [(name, of) for name in AUTHORS for of in AUTHORS[name]])
def test_names_and_shapes_are_the_authors(name: str, authors: str) -> None:
    spec = get_backbone(name)
    with torch.device("meta"):
        own = SCRIPT["shapes_of"](spec.build(224))
    shapes = dict(SHAPES[authors])
    assert shapes.keys() - own.keys() == {unused for unused in shapes if unused.startswith(spec.classifier)}
    if authors.startswith("stage2"):
        assert shapes["pos_embed"] == (1, 1 + 4 * 256, spec.feature_dim)
        shapes["pos_embed"] = (1, 1 + 8 * 256, spec.feature_dim)
    assert own == {kept: shapes[kept] for kept in own}


@torch.inference_mode()
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[pytest.mark.slow] if size == 224 else []) for case, (_, _, size, _) in CASES.items()],
)
def test_features_are_the_authors(case: str) -> None:
    _, frames, size, _ = CASES[case]
    spec = small(case)
    network = spec.build(224)
    network.load_state_dict(weights_of(spec))
    features = Backbone(network).eval()(SCRIPT["random_clips"](frames, size))
    assert EXPECTED[case].std() > 0.1
    np.testing.assert_allclose(features.numpy(), EXPECTED[case], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("old", "new"), SCRIPT["INTERPOLATED"].items())
def test_positions_for_other_numbers_of_frames_are_the_authors(old: int, new: int) -> None:
    state = {"pos_embed": SCRIPT["random_tensor"]("pos_embed", (1, 1 + old * 4, 6))}
    converted = convert(state, frames=new, places=4)["pos_embed"]
    np.testing.assert_allclose(converted.numpy(), EXPECTED[f"positions-{old}-{new}"], rtol=0, atol=1e-6)


UNUSED = {"head.weight": torch.zeros(710, 24), "clip_projector.q_bias": torch.zeros(32), "fc_norm.bias": torch.ones(2)}


@pytest.mark.parametrize(
    ("case", "keys"),
    [
        pytest.param("videomae-small", ["module"], id="VideoMAE, by DeepSpeed"),
        pytest.param("videomae-small", ["model"], id="VideoMAE, by its script"),
        pytest.param("internvideo2-small", ["model"], id="InternVideo2"),
        pytest.param("internvideo2-small", [], id="InternVideo2, bare"),
    ],
)
def test_checkpoints_load(case: str, keys: list[str], tmp_path: Path) -> None:
    spec = small(case)
    own = weights_of(spec)
    content: object = own | {name: value for name, value in UNUSED.items() if name not in own}
    if case == "videomae-small":
        content = own | {"head.weight": UNUSED["head.weight"]}
    for key in keys:
        content = {key: content, "epoch": 90}
    torch.save(content, tmp_path / "weights.pth")
    loaded = load_backbone(spec, weights=str(tmp_path / "weights.pth"), frame_size=224)
    assert loaded.weights_sha256 == state_sha256(own)
    (tmp_path / "weights.pth").write_bytes(bytes((tmp_path / "weights.pth").stat().st_size))  # the file is let go of
    for name, tensor in loaded.backbone.network.state_dict().items():
        assert torch.equal(tensor, own[name])


def test_a_checkpoint_of_mmaction2_loads(tmp_path: Path) -> None:
    spec = small("videomae-small")
    own = weights_of(spec)
    # vit_mae.py of MMAction2 at 0f1d96b, with mmcv's PatchEmbed and FFN
    theirs = {
        "patch_embed.proj.": "patch_embed.projection.",
        "mlp.fc1.": "mlp.layers.0.0.",
        "mlp.fc2.": "mlp.layers.1.",
    }
    state = {"backbone.pos_embed": torch.zeros(1, 32, 24), "cls_head.fc_cls.bias": torch.zeros(400)}
    for name, tensor in own.items():
        for old, new in theirs.items():
            name = name.replace(old, new)
        state[f"backbone.{name}"] = tensor
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "vit-large.pth")
    loaded = load_backbone(spec, weights=str(tmp_path / "vit-large.pth"), frame_size=224)
    assert loaded.weights_sha256 == state_sha256(own)


def test_vision_encoder_of_stage_2_loads(tmp_path: Path) -> None:
    spec = small("internvideo2-small")
    own = weights_of(spec)
    state = {f"vision_encoder.{name}": value for name, value in own.items()}
    state |= {
        "vision_encoder.img_pos_embed": torch.zeros(1, 5, 32),
        "vision_encoder.clip_decoder.0.head.bias": torch.ones(2),
    }
    state |= {
        "text_encoder.bert.pooler.dense.bias": torch.ones(3),
        "vision_proj.bias": torch.ones(4),
        "temp": torch.ones(()),
    }
    torch.save({"module": state}, tmp_path / "stage2.pt")
    loaded = load_backbone(spec, weights=str(tmp_path / "stage2.pt"), frame_size=224)
    assert loaded.weights_sha256 == state_sha256(own)


WRONG = {
    "positions of another size": ({"pos_embed": torch.zeros(1, 18, 32)}, r"shape: pos_embed \(1, 18, 32\) instead of"),
    "positions are a number": ({"pos_embed": torch.zeros(())}, r"shape: pos_embed \(\) instead of \(1, 17, 32\)"),
    "no positions": ({"pos_embed": None}, "missing: pos_embed"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_other_weights_are_refused(change: dict[str, torch.Tensor | None], message: str, tmp_path: Path) -> None:
    spec = small("internvideo2-small")
    state = {name: value for name, value in (weights_of(spec) | change).items() if value is not None}
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=message):
        load_backbone(spec, weights=str(tmp_path / "other.pt"), frame_size=224)


def test_pretrained_videomae_is_refused(tmp_path: Path) -> None:
    spec = small("videomae-small")
    state = {f"encoder.{name.replace('fc_norm', 'norm')}": value for name, value in weights_of(spec).items()}
    torch.save({"model": state}, tmp_path / "pretrain.pth")
    with pytest.raises(
        CheckpointError, match=r"these are not weights of videomae_s; missing: patch_embed\.proj\.weight"
    ):
        load_backbone(spec, weights=str(tmp_path / "pretrain.pth"), frame_size=224)


@torch.inference_mode()
@pytest.mark.parametrize("case", ["videomae-small", "internvideo2-small"])
def test_weights_in_half_precision_give_the_features_of_autocast(case: str, tmp_path: Path) -> None:
    _, frames, size, _ = CASES[case]
    spec = small(case)
    torch.save(weights_of(spec), tmp_path / "w.pt")
    clips = SCRIPT["random_clips"](frames, size)
    whole = load_backbone(spec, weights=str(tmp_path / "w.pt"), frame_size=224)
    half = load_backbone(spec, weights=str(tmp_path / "w.pt"), frame_size=224, precision=torch.bfloat16)
    assert half.weights_sha256 == whole.weights_sha256
    for name, module in half.backbone.network.named_modules():
        types = {parameter.dtype for parameter in module.parameters(recurse=False)}
        in_half = isinstance(module, nn.Linear | nn.Conv3d)
        assert types <= {torch.bfloat16 if in_half else torch.float32}, name
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(half.backbone(clips), whole.backbone(clips))


@pytest.mark.parametrize("case", ["videomae-small", "internvideo2-small"])
def test_no_initial_weights_are_made_when_a_file_is_loaded(case: str, tmp_path: Path) -> None:
    spec = small(case)
    own = weights_of(spec)
    devices = []

    def build(size: int) -> nn.Module:
        network = spec.build(size)
        devices.append({parameter.device.type for parameter in network.parameters()})
        return network

    torch.save({name: value.half() for name, value in own.items()}, tmp_path / "w.pt")
    loaded = load_backbone(replace(spec, build=build), weights=str(tmp_path / "w.pt"), frame_size=224)
    assert devices == [{"meta"}]
    assert loaded.weights_sha256 == state_sha256({name: value.half().float() for name, value in own.items()})
    random = load_backbone(replace(spec, build=build), weights="random", frame_size=224)
    assert devices[1:] == [{"cpu"}]
    assert random.weights_sha256 == state_sha256(random.backbone.network.state_dict())
    assert not any(parameter.requires_grad for parameter in loaded.backbone.parameters())


def test_where_weights_come_from_is_said() -> None:
    with pytest.raises(UsageError, match="the weights of videomaev2_g cannot be downloaded automatically") as caught:
        load_backbone(get_backbone("videomaev2_g"), weights="default", frame_size=224)
    page = "https://github.com/OpenGVLab/VideoMAEv2/blob/master/docs/MODEL_ZOO.md"
    assert caught.value.hint == f"get them from {page} and give --weights FILE, or --weights random to try it"
