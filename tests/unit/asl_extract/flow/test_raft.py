"""RAFT: against torchvision's own calls, whatever the blocks and batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.optical_flow import CPU, moving_texture, preparer, real_frames, stream
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models import optical_flow

from asl_extract.backbones.weights import state_sha256
from asl_extract.flow import raft
from asl_extract.flow.preparation import get_flow_method
from asl_extract.frames import ResizeRule
from asl_kit.errors import (
    CheckpointError,
    MissingFileError,
)


@pytest.fixture(scope="module")
def raft_small() -> Any:
    return get_flow_method("raft_small", weights="random", device=CPU)


def torchvisions_flow(network: torch.nn.Module, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Tensor:
    """Return the flow of one pair as torchvision's documentation computes it: (2, H, W)."""
    transforms = optical_flow.Raft_Small_Weights.DEFAULT.transforms()
    images = transforms(*(torch.from_numpy(frame).permute(2, 0, 1)[None] for frame in (before, after)))
    with torch.inference_mode():
        flow: Tensor = network(*images)[-1][0]
    return flow


@pytest.mark.parametrize("name", ["raft_small", "raft_large"])
def test_raft_equals_torchvision_pair_by_pair(name: str) -> None:
    method: Any = get_flow_method(name, weights="random", device=CPU)
    torch.manual_seed(0)
    theirs = getattr(optical_flow, name)(weights=None).eval()
    assert method.weights == "random"
    assert method.weights_sha256 == state_sha256(theirs.state_dict())
    assert method.description == f"{name}, 12 iterations"
    frames = real_frames()[:, 40:168, 80:216]  # sides that RAFT takes as they are
    flow = stream(preparer(method, ResizeRule(128, 128, rounded=False)), frames)
    for index in range(2):
        expected = torchvisions_flow(theirs, frames[index], frames[index + 1])[:, :, 4:132].clamp(-20, 20) / 20
        torch.testing.assert_close(flow[index].permute(2, 0, 1), expected, rtol=0, atol=1e-5)
    assert torch.equal(flow[2], flow[1])


@pytest.mark.parametrize("size", [(97, 131), (128, 129), (60, 200)], ids=lambda size: f"{size[1]}x{size[0]}")
def test_raft_takes_any_size(size: tuple[int, int], raft_small: Any) -> None:
    height, width = size
    frames = real_frames()[:2, :height, :width]
    with torch.inference_mode():
        flow = raft_small(torch.from_numpy(frames).permute(0, 3, 1, 2).float())
    # The margin of RAFT's own evaluation (InputPadder of its "sintel" mode), widened to the least that it takes.
    more_y, more_x = (max(128, -(-length // 8) * 8) - length for length in size)
    top, left = more_y // 2, more_x // 2
    padded = [np.pad(frame, [(top, more_y - top), (left, more_x - left), (0, 0)], mode="edge") for frame in frames]
    torch.manual_seed(0)
    theirs = optical_flow.raft_small(weights=None).eval()
    expected = torchvisions_flow(theirs, *padded)[:, top : top + height, left : left + width]
    assert flow.shape == (1, 2, height, width)
    torch.testing.assert_close(flow[0], expected, rtol=1e-4, atol=1e-4)


def test_raft_does_not_depend_on_blocks_and_batches(raft_small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raft, "ITERATIONS", 2)
    frames = moving_texture(2, 1, frames=5, size=(128, 128))
    prepare = preparer(raft_small, ResizeRule(128, 128, rounded=False))
    with torch.inference_mode():
        expected = stream(prepare, frames)
        for pairs_per_batch, blocks in ((1, [5]), (4, [2, 3]), (3, [1, 1, 3])):
            monkeypatch.setattr(raft_small, "pairs_per_batch", pairs_per_batch)
            torch.testing.assert_close(stream(prepare, frames, blocks), expected, rtol=0, atol=1e-5)
    assert expected.std() > 1e-3


def test_raft_encodes_each_frame_once(raft_small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, sizes = raft_small._encode, []
    monkeypatch.setattr(raft, "ITERATIONS", 1)
    monkeypatch.setattr(raft_small, "_encode", lambda frames: (sizes.append(len(frames)), encode(frames))[1])
    frames = torch.from_numpy(moving_texture(2, 1, frames=9, size=(128, 128))).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        raft_small(frames)
    assert sizes == [5, 4]  # not 4, 4 and 1: a CPU computes one frame alone a little differently


def test_raft_computes_in_float32_whatever_the_backbone(raft_small: Any) -> None:
    frames = moving_texture(2, 1, frames=2, size=(128, 128))
    prepare = preparer(raft_small, ResizeRule(128, 128, rounded=False))
    with torch.inference_mode():
        expected = stream(prepare, frames)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(stream(prepare, frames), expected)


def test_raft_weights_from_a_file(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = optical_flow.raft_small(weights=None)
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    method: Any = get_flow_method("raft_small", weights=str(tmp_path / "mine.pth"), device=CPU)
    assert (method.weights, method.weights_sha256) == ("mine.pth", state_sha256(network.state_dict()))
    with pytest.raises(CheckpointError, match="these are not weights of raft_large"):
        get_flow_method("raft_large", weights=str(tmp_path / "mine.pth"), device=CPU)
    with pytest.raises(MissingFileError) as caught:
        get_flow_method("raft_small", weights="nope.pth", device=CPU)
    assert caught.value.hint == "--flow-weights takes default, random, or the path of a state dict"


@pytest.mark.parametrize(
    ("name", "weights"), [("raft_small", "C_T_V2"), ("raft_large", "C_T_SKHT_V2")], ids=["raft_small", "raft_large"]
)
def test_raft_without_network(name: str, weights: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*rest: Any, **options: Any) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(CheckpointError, match=f"weights {weights} of {name} cannot be downloaded") as caught:
        get_flow_method(name, device=CPU)
    assert caught.value.hint == "download them on another machine and pass --flow-weights FILE"
