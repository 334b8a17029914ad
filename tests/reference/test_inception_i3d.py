"""I3D against the PyTorch port whose weights people have: names, shapes, features (scripts/make_inception_i3d.py)."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from asl_extract.backbones import get_backbone
from asl_extract.backbones.inception_i3d import inception_i3d, pad_same
from asl_extract.backbones.spec import Backbone
from asl_extract.backbones.weights import load_backbone
from asl_kit.errors import CheckpointError

HERE = Path(__file__).parent
SCRIPT = runpy.run_path(str(HERE / "scripts" / "make_inception_i3d.py"))
CASES = SCRIPT["CASES"]
Shapes = dict[str, tuple[int, ...]]


def port_shapes(kind: str) -> Shapes:
    """Return name and shape of every tensor in the port's state dict."""
    rows = [line.split(" ") for line in (HERE / "inception_i3d_parameters.txt").read_text().splitlines()]
    return {name: tuple(map(int, filter(None, shape.split(",")))) for of, name, shape in rows if of == kind}


@pytest.fixture(scope="module", params=["rgb", "flow"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_names_and_shapes_are_the_ports(kind: str) -> None:
    own = {name: tuple(tensor.shape) for name, tensor in inception_i3d(SCRIPT["CHANNELS"][kind]).state_dict().items()}
    port = port_shapes(kind)
    assert len(port) == 344  # 57 convolutions with 6 tensors each, and the logits' 2
    logits = {"logits.conv3d.weight": (400, 1024, 1, 1, 1), "logits.conv3d.bias": (400,)}
    assert own | logits == port


@pytest.mark.parametrize("counters", [True, False], ids=["with batch counters", "as saved before torch 0.4.1"])
def test_file_of_the_port_loads(kind: str, counters: bool, tmp_path: Path) -> None:
    shapes = port_shapes(kind)
    state = SCRIPT["random_state"]({name: shape for name, shape in shapes.items() if "num_batches" not in name})
    if counters:
        state |= {name: torch.tensor(7) for name in shapes if "num_batches" in name}
    torch.save(state, tmp_path / f"{kind}_imagenet.pt")
    loaded = load_backbone(get_backbone(f"i3d_{kind}"), weights=str(tmp_path / f"{kind}_imagenet.pt"), frame_size=224)
    assert loaded.weights == f"{kind}_imagenet.pt"
    for name, tensor in loaded.backbone.network.state_dict().items():
        assert torch.equal(tensor, state.get(name, torch.tensor(0)))


def test_weights_of_the_other_stream_are_refused(tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in port_shapes("flow").items() if "num_batches" not in name}
    torch.save(SCRIPT["random_state"](shapes), tmp_path / "flow.pt")
    message = r"shape: Conv3d_1a_7x7\.conv3d\.weight \(64, 2, 7, 7, 7\) instead of \(64, 3, 7, 7, 7\)"
    with pytest.raises(CheckpointError, match=message):
        load_backbone(get_backbone("i3d_rgb"), weights=str(tmp_path / "flow.pt"), frame_size=224)


@torch.inference_mode()
@pytest.mark.parametrize(
    "case",
    [pytest.param(name, marks=[pytest.mark.slow] if max(size) > 200 else []) for name, (_, size, _) in CASES.items()],
)
def test_features_are_the_ports(case: str) -> None:
    kind, size, _ = CASES[case]
    network = inception_i3d(SCRIPT["CHANNELS"][kind])
    shapes = {name: shape for name, shape in port_shapes(kind).items() if "num_batches" not in name}
    state = SCRIPT["random_state"](shapes)
    del state["logits.conv3d.weight"], state["logits.conv3d.bias"]
    network.load_state_dict(state, strict=False)
    clips = SCRIPT["random_clips"]((SCRIPT["CHANNELS"][kind], *size))
    features = Backbone(network).eval()(clips)
    expected = np.load(HERE / "inception_i3d.npz")[case]
    assert expected.std() > 0.1
    np.testing.assert_allclose(features[0].numpy(), expected, rtol=0, atol=1e-4)


SAME = {
    # size, kernel, stride: zeros before and after, from the rule in TensorFlow's documentation of `tf.nn.conv2d`
    "stride 1": (5, 3, 1, 1, 1),
    "even size": (224, 7, 2, 2, 3),
    "odd size": (225, 7, 2, 3, 3),
    "pool, even": (112, 3, 2, 0, 1),
    "pool, odd": (113, 3, 2, 1, 1),
    "no overlap": (4, 2, 2, 0, 0),
    "no overlap, odd": (5, 2, 2, 0, 1),
    "single place": (1, 3, 2, 1, 1),
}


@pytest.mark.parametrize(("size", "kernel", "stride", "before", "after"), SAME.values(), ids=SAME)
def test_same_padding(size: int, kernel: int, stride: int, before: int, after: int) -> None:
    line = torch.ones(1, 1, size, 1, 1)
    padded = pad_same(line, (kernel, 1, 1), (stride, 1, 1))
    assert padded.flatten().tolist() == [0.0] * before + [1.0] * size + [0.0] * after
    assert torch.equal(pad_same(line.transpose(2, 4), (1, 1, kernel), (1, 1, stride)), padded.transpose(2, 4))
