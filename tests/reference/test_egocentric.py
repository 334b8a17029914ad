"""EgoVLP and Omnivore against their authors' code: names, shapes, features (make_egocentric.py)."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from asl_extract.backbones import egovlp, get_backbone, omnivore
from asl_extract.backbones.spec import Backbone, StateDict
from asl_extract.backbones.weights import load_backbone, state_sha256
from asl_kit.errors import CheckpointError

HERE = Path(__file__).parent
SCRIPT = runpy.run_path(str(HERE / "scripts" / "make_egocentric.py"))
CASES = SCRIPT["CASES"]
EXPECTED = np.load(HERE / "egocentric.npz")
Shapes = dict[str, tuple[int, ...]]
AUTHORS = {
    "egovlp": "egovlp",
    "omnivore_swin_t": "omnivore_swinT",
    "omnivore_swin_s": "omnivore_swinS",
    "omnivore_swin_b": "omnivore_swinB",
    "omnivore_swin_l": "omnivore_swinL_imagenet21k",
}


def authors_shapes() -> dict[str, Shapes]:
    """Return name and shape of every tensor in the state dicts of the authors' networks."""
    found: dict[str, Shapes] = {}
    for line in (HERE / "egocentric_parameters.txt").read_text().splitlines():
        network, name, sizes = line.split(" ")
        blocks = re.search(r"\.0-(\d+)\.", name)
        count = int(blocks[1]) + 1 if blocks else 1
        names = [name.replace(blocks[0], f".{number}.") if blocks else name for number in range(count)]
        found.setdefault(network, {}).update(dict.fromkeys(names, tuple(map(int, sizes.split(",")))))
    return found


SHAPES = authors_shapes()


def small(case: str) -> nn.Module:
    """Return the network of a case."""
    _, size, sizes = CASES[case]
    if case.startswith("omnivore"):
        return omnivore.build(**sizes)
    return egovlp.EgoVlp(10, **sizes, frame_size=size)


def authors_weights(case: str, network: nn.Module) -> StateDict:
    """Return the authors' weights of a case, by the rule of the script, under the names of our network."""
    shapes = {name: shape for name, shape in SHAPES[case].items() if not name.endswith(SCRIPT["INDEX"])}
    state: StateDict = SCRIPT["random_state"](shapes)
    if case.startswith("omnivore"):
        state = omnivore.convert(state)
        index = torch.from_numpy(EXPECTED[f"{case}-index"]).long()
        state |= {name: index for name in network.state_dict() if name.endswith(SCRIPT["INDEX"])}
    return {name: tensor for name, tensor in state.items() if not name.startswith("depth_patch_embed.")}


@pytest.mark.parametrize(("name", "authors"), AUTHORS.items())
def test_names_and_shapes_are_the_authors(name: str, authors: str) -> None:
    spec = get_backbone(name)
    with torch.device("meta"):
        own = SCRIPT["shapes_of"](spec.build(224))
        state = {key: torch.empty(shape) for key, shape in SHAPES[authors].items()}
    converted = spec.convert(state) if spec.convert else state
    assert own == {key: tuple(t.shape) for key, t in converted.items() if not key.startswith(spec.classifier)}


@torch.inference_mode()
@pytest.mark.parametrize("case", CASES)
def test_features_are_the_authors(case: str) -> None:
    frames, size, _ = CASES[case]
    network = small(case)
    own_index = {name: tensor for name, tensor in network.state_dict().items() if name.endswith(SCRIPT["INDEX"])}
    network.load_state_dict(authors_weights(case, network))
    for name, index in own_index.items():
        assert torch.equal(network.state_dict()[name], index)
    features = Backbone(network).eval()(SCRIPT["random_clips"](frames, size))
    assert EXPECTED[case].std() > 0.1
    np.testing.assert_allclose(features.numpy(), EXPECTED[case], rtol=0, atol=1e-5)


def test_positions_of_16_frames_are_cut_as_the_authors_use_them() -> None:
    name = "video_model.temporal_embed"
    positions = torch.randn(1, 16, 8)
    assert torch.equal(egovlp.convert({name: positions})[name], positions[:, :4])


def test_an_omnivore_checkpoint_loads(tmp_path: Path) -> None:
    spec = get_backbone("omnivore_swin_t")
    state = spec.build(224).state_dict()
    names = {omnivore.convert({name: torch.empty(0)}).popitem()[0]: name for name in SHAPES["omnivore_swinT"]}
    trunk = {names[name]: tensor for name, tensor in state.items()}
    trunk["depth_patch_embed.proj.bias"] = torch.zeros(96)
    path = tmp_path / "swinT_checkpoint.torch"
    torch.save({"trunk": trunk, "heads": {"image.bias": torch.zeros(1000)}}, path)
    loaded = load_backbone(spec, weights=str(path), frame_size=224)
    assert loaded.weights_sha256 == state_sha256(state)


class Config:
    """Of the authors' code, in their checkpoint."""


def test_an_egovlp_checkpoint_loads_without_what_is_not_a_tensor(tmp_path: Path) -> None:
    spec = replace(get_backbone("egovlp"), build=lambda _: small("egovlp-small"))
    state = spec.build(224).state_dict()
    others = {"text_model.embeddings.weight": torch.zeros(2, 3), "txt_proj.1.bias": torch.zeros(256)}
    content = {"state_dict": {f"module.{name}": tensor for name, tensor in (state | others).items()}}
    torch.save(content, tmp_path / "egovlp.pth")
    loaded = load_backbone(spec, weights=str(tmp_path / "egovlp.pth"), frame_size=224)
    assert loaded.weights_sha256 == state_sha256(state)
    torch.save(content | {"config": Config()}, tmp_path / "with_config.pth")
    with pytest.raises(CheckpointError, match="it is truncated, or holds more than tensors") as caught:
        load_backbone(spec, weights=str(tmp_path / "with_config.pth"), frame_size=224)
    assert caught.value.hint == "save it with torch.save(model.state_dict(), FILE)"
