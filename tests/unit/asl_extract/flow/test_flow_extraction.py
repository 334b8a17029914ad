"""Extractors with optical flow: specs that are repeated, and what reaches the backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from helpers.extraction import make_extractor
from helpers.optical_flow import CPU, Brightness
from helpers.support import write_video
from torch import Tensor
from torchvision.models import optical_flow

from asl_extract.backbones import get_backbone
from asl_extract.clip_plan import ClipPlan
from asl_extract.extractor import Extractor
from asl_kit.errors import (
    AslKitError,
    SpecConflictError,
    UsageError,
)
from asl_kit.store.spec import ExtractionSpec


@pytest.fixture(scope="module")
def flow_spec() -> ExtractionSpec:
    return make_extractor(
        backbone="i3d_flow", weights="random", flow="raft_small", flow_weights="random", frame_size=32, device="cpu"
    ).spec


def test_spec_of_flow_images_is_repeated() -> None:
    spec = make_extractor(backbone="i3d_flow", weights="random", flow="images", frame_size=32).spec
    assert (spec.flow, spec.flow_weights) == ("images, 0 to 255 for -20 to 20 pixels", "")
    assert Extractor(spec, device="cpu").spec == spec
    with pytest.raises(SpecConflictError, match="0 to 255 for -32 to 32 pixels' against 'images, 0 to 255 for -20"):
        Extractor(spec.model_copy(update={"flow": "images, 0 to 255 for -32 to 32 pixels"}), device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fps": 25.0}, "--flow images and --fps 25: images hold the motion between frames of their own rate"),
        ({"flow_weights": "default"}, "--flow images computes no flow: leave out --flow-weights default"),
        ({"backbone": "x3d_xs"}, "x3d_xs looks at the video's own frames, not at optical flow, got --flow images"),
    ],
    ids=["fps", "weights", "RGB"],
)
def test_flow_images_with_what_does_not_suit_them(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_extractor(**{"backbone": "i3d_flow", "weights": "random", "flow": "images"} | settings)


def test_spec_is_repeated(flow_spec: ExtractionSpec) -> None:
    assert Extractor(flow_spec, device="cpu").spec == flow_spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"flow": "raft_small, 20 iterations"},
            "flow: 'raft_small, 20 iterations' against 'raft_small, 12 iterations'",
        ),
        ({"flow_weights_sha256": "0" * 64}, "flow_weights_sha256: '0000"),
        ({"flow_weights": "mine.pth"}, "made with the weights file 'mine.pth', which was not given"),
        ({"flow": "gmflow"}, "unknown method of optical flow 'gmflow'"),
        ({"flow": ""}, "i3d_flow looks at optical flow, and no method was named"),
    ],
    ids=["iterations", "weights", "file", "unknown", "none"],
)
def test_spec_that_cannot_be_repeated(changes: dict[str, str], message: str, flow_spec: ExtractionSpec) -> None:
    with pytest.raises(AslKitError, match=message):
        Extractor(flow_spec.model_copy(update=changes), device="cpu")


def test_spec_with_a_file_of_flow_weights(tmp_path: Path, flow_spec: ExtractionSpec) -> None:
    torch.manual_seed(3)
    torch.save(optical_flow.raft_small(weights=None).state_dict(), tmp_path / "mine.pth")
    spec = make_extractor(
        backbone="i3d_flow",
        weights="random",
        flow="raft_small",
        flow_weights=str(tmp_path / "mine.pth"),
        frame_size=32,
        device="cpu",
    ).spec
    (tmp_path / "mine.pth").rename(tmp_path / "renamed.pth")
    again = Extractor(spec, flow_weights=str(tmp_path / "renamed.pth"), device="cpu")
    assert again.spec == spec
    assert spec.flow_weights_sha256 != flow_spec.flow_weights_sha256
    with pytest.raises(SpecConflictError) as caught:
        Extractor(spec, device="cpu")
    assert (
        caught.value.hint
        == f"pass the file with SHA-256 (over its tensors) {spec.flow_weights_sha256} by --flow-weights FILE"
    )


@pytest.mark.parametrize(
    ("fps", "window_frames", "stride_frames", "workers"),
    [
        pytest.param(None, 8, 2, 0, id="native"),
        pytest.param(None, 5, 9, 0, id="gaps between windows"),
        pytest.param(20.0, 8, 3, 0, id="shown twice"),
        pytest.param(90.0, 40, 7, 0, id="shown 9 times"),
        pytest.param(90.0, 40, 7, 1, id="shown 9 times, decoded in a worker"),
        pytest.param(25.0, 60, 100, 0, id="one short clip"),
        pytest.param(4.0, 6, 1, 0, id="fewer frames"),
    ],
)
def test_clips_hold_the_flow_of_the_timeline(
    fps: float | None,
    window_frames: int,
    stride_frames: int,
    workers: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Flow of each timeline frame to the next, against what reaches the backbone."""
    video = write_video(tmp_path / "video.mp4", frames=21, fps=10, size=(64, 48))
    extractor = make_extractor(
        backbone="i3d_flow", weights="random", flow="tvl1", window_frames=window_frames, stride_frames=stride_frames,
        fps=fps, frame_size=32, batch_size=2, device="cpu",
    )  # fmt: skip
    clips: list[Tensor] = []

    def keep(batch: Tensor) -> Tensor:
        clips.append(batch.clone())
        return torch.zeros(len(batch), 1024)

    monkeypatch.setattr(extractor, "_backbone", keep)
    monkeypatch.setattr(extractor._prepare, "method", Brightness())
    results = dict(extractor.extract_all([("video", video)], workers=workers))
    assert not isinstance(results["video"], AslKitError)

    with av.open(str(video)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    plan = ClipPlan(
        frame_count=21, fps=10.0, window_frames=window_frames, stride_frames=stride_frames,
        clip_frames=window_frames, resample_fps=fps,
    )  # fmt: skip
    rule = get_backbone("i3d_flow").resize.scaled_to(32)
    shown = rule.resize(frames, device=CPU)[plan.timeline, 0]
    change = shown.diff(dim=0).clamp(-20, 20) / 20
    flow = rule.centre(torch.stack([change, -change]))
    flow = torch.cat([flow, flow[:, -1:]], dim=1)  # (2, timeline, S, S)
    expected = [
        flow[:, torch.arange(start, start + window_frames).clamp(max=len(shown) - 1)]
        for start in range(0, plan.length * stride_frames, stride_frames)
    ]
    torch.testing.assert_close(torch.cat(clips), torch.stack(expected), rtol=0, atol=1e-5)
