"""The host never waits for the GPU while clips are made, seen without one: torch's fake tensors know their device.

They refuse what needs a value on the host, such as ``.item()``, `torch.any` in a condition and boolean indices. Copies
between host and GPU are refused here; 0-dimensional tensors of the host are arguments of kernels, not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from asl_extract.backbones import BACKBONES, get_backbone
from asl_extract.backbones.spec import Backbone
from asl_extract.flow import raft
from asl_extract.flow.preparation import FlowPreparer
from asl_extract.flow.raft import open_method
from asl_extract.frames import FramePreparer, ResizeRule

CUDA = torch.device("cuda:0")
LARGE = {"csn_r101", "slowfast_r101", "vit_l_16", "swin_b", "convnext_base", "swin3d_s", "swin3d_b", "x3d_m", "x3d_l"}
SAME = {name for name in BACKBONES if name.startswith(("videomae", "internvideo2")) and not name.endswith("_s")}
SAME |= {"omnivore_swin_s", "omnivore_swin_b", "omnivore_swin_l"}
"""Wider and deeper than the smallest of their family, and otherwise the same."""
"""Slow to build, and of the same code as others."""


class WaitError(Exception):
    pass


class NoCopies(TorchDispatchMode):
    """Refuses operations between host and GPU."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = operation(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
        places = {
            tensor.device.type for tensor in tensors if tensor.ndim or operation is torch.ops.aten._to_copy.default
        }
        if len(places) > 1:
            raise WaitError(f"{operation} between host and GPU")
        return out


@contextmanager
def fake_cuda() -> Iterator[None]:
    with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode():
        yield


def move(network: nn.Module) -> None:
    """Put a network's tensors on the GPU that is not there."""
    for module in network.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    there = torch.empty(tensor.shape, dtype=tensor.dtype, device=CUDA)
                    tensors[name] = nn.Parameter(there, requires_grad=False) if tensors is module._parameters else there


@pytest.fixture
def no_initial_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not draw weights, which takes most of the time."""
    for name in ("normal_", "trunc_normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_", "xavier_uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *_, **__: tensor)


@pytest.mark.usefixtures("no_initial_weights")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in BACKBONES if name not in SAME],
)
def test_backbones(name: str) -> None:
    spec = get_backbone(name)
    network = Backbone(spec.build(spec.frame_size), two_pathways=spec.two_pathways).eval()
    with fake_cuda():
        move(network)
        clips = torch.empty((2, len(spec.mean), spec.clip_frames, spec.frame_size, spec.frame_size), device=CUDA)
        with NoCopies():
            features = network(clips)
    assert (features.device, features.shape) == (CUDA, (2, spec.feature_dim))


@pytest.mark.usefixtures("no_initial_weights")
@pytest.mark.parametrize("name", ["raft_small", "raft_large"])
def test_flow(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def grid_sample(images: Tensor, grid: Tensor, **_: object) -> Tensor:  # torch's asks the driver, which is not there
        assert images.device == grid.device == CUDA
        return images.new_empty((*images.shape[:2], *grid.shape[1:3]))

    monkeypatch.setattr(nn.functional, "grid_sample", grid_sample)
    monkeypatch.setattr(raft, "ITERATIONS", 2)
    made: Any = open_method(name, weights="random", device=torch.device("cpu"))
    with fake_cuda():
        move(made.network)
        move(made._encode)
        rule = ResizeRule(128, 112, rounded=False)
        prepare = FlowPreparer(rule=rule, mean=(0.5, 0.5), std=(0.5, 0.5), method=made, device=CUDA)
        video = prepare.stream()
        frames = torch.empty((5, 160, 200, 3), dtype=torch.uint8, device=CUDA)
        with NoCopies():
            found = [video(frames), video(frames[:1]), video.finish()]
    assert [tuple(part.shape) for part in found] == [(4, 112, 112, 2), (1, 112, 112, 2), (1, 112, 112, 2)]


@pytest.mark.parametrize("antialias", [False, True])
def test_frames(antialias: bool) -> None:
    rule = ResizeRule(128, 112, rounded=True, antialias=antialias)
    with fake_cuda():
        prepare = FramePreparer(rule=rule, mean=(0.5,) * 3, std=(0.5,) * 3, device=CUDA)
        frames = torch.empty((5, 160, 200, 3), dtype=torch.uint8, device=CUDA)
        with NoCopies():
            assert prepare(frames).shape == (5, 112, 112, 3)


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(lambda x: x.sum().item(), id="item"),
        pytest.param(lambda x: bool((x > 0).any()), id="condition"),
        pytest.param(lambda x: x[x > 0], id="boolean index"),
        pytest.param(lambda x: x.nonzero(), id="nonzero"),
        pytest.param(lambda x: x.cpu(), id="to the host"),
        pytest.param(lambda x: x[torch.arange(2)], id="index of the host"),
        pytest.param(lambda x: x + torch.tensor([1.0, 2.0, 3.0], device=CUDA), id="new tensor"),
        pytest.param(lambda x: x + torch.arange(3).to(CUDA), id="to the GPU"),
    ],
)
def test_waits_are_seen(wait: Callable[[Tensor], object]) -> None:
    with fake_cuda():
        values = torch.empty(3, device=CUDA)
        with NoCopies(), pytest.raises((WaitError, DataDependentOutputException, DynamicOutputShapeException)):
            wait(values)
