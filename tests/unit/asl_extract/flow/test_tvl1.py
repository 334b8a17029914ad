"""TV-L1: of motions that are known, and against OpenCV's own calls."""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from helpers.optical_flow import CPU, moving_texture, preparer, real_frames, stream

from asl_extract.flow.preparation import get_flow_method
from asl_extract.frames import ResizeRule
from asl_kit.errors import (
    MissingDependencyError,
    UsageError,
)


@pytest.fixture(scope="module", autouse=True)
def one_opencv_thread() -> Iterator[None]:
    """OpenCV's own threads only wait for each other on a machine that is busy."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def test_motion_is_in_pixels_of_the_resized_frame() -> None:
    frames = moving_texture(4, -2, size=(256, 320))
    tvl1 = get_flow_method("tvl1", device=CPU)
    flow = stream(preparer(tvl1, ResizeRule(128, 96, rounded=False)), frames).mul(20)
    assert flow.shape == (3, 96, 96, 2)
    median = flow[:, 16:-16, 16:-16].flatten(0, 2).median(dim=0).values
    torch.testing.assert_close(median, torch.tensor([2.0, -1.0]), rtol=0, atol=0.1)


@pytest.mark.parametrize(("dx", "dy"), [(1.0, 0.0), (0.0, -2.0), (2.5, 1.25), (-3.0, 4.0)])
def test_tvl1_finds_a_known_motion(dx: float, dy: float) -> None:
    frames = torch.from_numpy(moving_texture(dx, dy, frames=2)).permute(0, 3, 1, 2).float()
    flow = get_flow_method("tvl1", device=CPU)(frames)
    median = flow[0, :, 16:-16, 16:-16].flatten(1).median(dim=1).values
    torch.testing.assert_close(median, torch.tensor([dx, dy]), rtol=0, atol=0.1)


def test_tvl1_equals_opencv_on_a_real_clip() -> None:
    frames = real_frames()[:, 120:184, 200:296]
    flow = stream(preparer(get_flow_method("tvl1", device=CPU), ResizeRule(64, 48, rounded=False)), frames)
    method = cv2.optflow.DualTVL1OpticalFlow_create()
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    for index in range(2):
        theirs = method.calc(gray[index], gray[index + 1], None)[8:56, 24:72]
        assert np.abs(theirs).max() > 0.5
        np.testing.assert_allclose(flow[index].numpy(), theirs.clip(-20, 20) / 20, rtol=0, atol=1e-6)


def test_tvl1_records_opencvs_version() -> None:
    method = get_flow_method("tvl1", device=CPU)
    assert (method.description, method.weights, method.weights_sha256) == (f"tvl1, opencv {cv2.__version__}", "", None)


def test_tvl1_has_no_weights() -> None:
    with pytest.raises(UsageError, match="tvl1 has no weights, got --flow-weights random"):
        get_flow_method("tvl1", weights="random", device=CPU)


def test_tvl1_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def fail(name: str, *rest: Any, **options: Any) -> Any:
        if name == "cv2":
            raise ModuleNotFoundError("No module named 'cv2'")
        return original(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(MissingDependencyError, match="flow 'tvl1' needs OpenCV: No module named 'cv2'") as caught:
        get_flow_method("tvl1", device=CPU)
    assert caught.value.hint == 'pip install "asl-kit[opencv]"'


def test_tvl1_with_plain_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = types.ModuleType("cv2")
    plain.__version__ = "4.10.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv2", plain)
    with pytest.raises(MissingDependencyError, match=r"contributed modules, which the installed OpenCV 4\.10\.0 lacks"):
        get_flow_method("tvl1", device=CPU)
