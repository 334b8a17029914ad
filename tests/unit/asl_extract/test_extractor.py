"""Extractors from settings and from a recorded spec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.extraction import make_extractor
from helpers.support import write_video

from asl_extract.backbones import get_backbone
from asl_extract.backbones.weights import load_backbone
from asl_extract.extractor import Extractor
from asl_kit.errors import AslKitError, MissingDependencyError, SpecConflictError, UsageError
from asl_kit.store.spec import ExtractionSpec
from asl_kit.torch_utils.device import choose_device

SMALL = {"backbone": "x3d_xs", "weights": "random", "window_frames": 8, "stride_frames": 4, "frame_size": 48}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", frames=20)


@pytest.fixture(scope="module")
def spec() -> ExtractionSpec:
    return make_extractor(**SMALL, device="cpu").spec


def test_spec_says_everything(spec: ExtractionSpec) -> None:
    import av

    assert spec.model_dump(exclude={"weights_sha256"}) == {
        "backbone": "x3d_xs",
        "weights": "random",
        "pooling": "",
        "feature_dim": 2048,
        "window_frames": 8,
        "stride_frames": 4,
        "fps": None,
        "clip_frames": 4,
        "sampling": "uniform",
        "resize": "short side 55, bilinear, no antialias, centre crop 48",
        "frame_size": 48,
        "mean": (0.45, 0.45, 0.45),
        "std": (0.225, 0.225, 0.225),
        "flow": "",
        "flow_weights": "",
        "flow_weights_sha256": None,
        "precision": "float32",
        "decoder": f"pyav {av.__version__}",
    }
    assert spec.weights_sha256 is not None
    assert len(spec.weights_sha256) == 64


def test_defaults_are_the_backbones() -> None:
    spec = make_extractor(backbone="x3d_xs", weights="random", device="cpu").spec
    assert (spec.window_frames, spec.stride_frames, spec.frame_size) == (48, 12, 160)


def test_network_for_clips_of_any_length_sees_the_whole_window(video: Path) -> None:
    settings = {"backbone": "i3d_rgb", "weights": "random", "frame_size": 32, "device": "cpu"}
    extractor = make_extractor(**settings, window_frames=10, stride_frames=5)
    assert (extractor.spec.clip_frames, extractor.spec.mean) == (10, (0.5, 0.5, 0.5))
    features = extractor.extract(video).features
    assert features.shape[1] == 1024
    whole = make_extractor(**settings, window_frames=20, stride_frames=5).extract(video).features
    assert not np.allclose(features[0], whole[0], atol=1e-3)
    assert make_extractor(**settings).spec.clip_frames == 16


def test_an_extractor_repeats_what_the_spec_says(video: Path, spec: ExtractionSpec) -> None:
    first = make_extractor(**SMALL, device="cpu").extract(video)
    again = Extractor(spec, device="cpu").extract(video)
    assert np.array_equal(again.features, first.features)
    assert again.grid == first.grid


def test_weights_from_a_file_are_asked_for_and_checked(video: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = get_backbone("x3d_xs").build(48)
    torch.save(network.state_dict(), tmp_path / "mine.pt")
    spec = make_extractor(**(SMALL | {"weights": str(tmp_path / "mine.pt")}), device="cpu").spec
    assert spec.weights == "mine.pt"

    with pytest.raises(
        SpecConflictError, match=r"made with the weights file 'mine\.pt', which was not given"
    ) as caught:
        Extractor(spec, device="cpu").extract(video)
    assert str(spec.weights_sha256) in str(caught.value.hint)

    (tmp_path / "mine.pt").rename(tmp_path / "renamed.pt")
    Extractor(spec, device="cpu", weights=str(tmp_path / "renamed.pt")).extract(video)

    network.state_dict()["blocks.0.norm.bias"].add_(1)
    torch.save(network.state_dict(), tmp_path / "other.pt")
    with pytest.raises(SpecConflictError, match=f"weights_sha256: '{spec.weights_sha256}' against '"):
        Extractor(spec, device="cpu", weights=str(tmp_path / "other.pt")).extract(video)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "imported"}, "these features were imported"),
        ({"weights_sha256": "0" * 64}, "weights_sha256: '0000"),
        ({"decoder": "pyav 0.5.0"}, "decoder: 'pyav 0.5.0' against 'pyav "),
        ({"resize": "other"}, "resize: 'other' against 'short side 55"),
        ({"clip_frames": 5}, "clip_frames: 5 against 4"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_spec_that_cannot_be_repeated(changes: dict[str, object], message: str, spec: ExtractionSpec) -> None:
    with pytest.raises(SpecConflictError, match=message):
        Extractor(spec.model_copy(update=changes), device="cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_frames": 0}, "window must be 1 or more, got 0"),
        ({"stride_frames": -4}, "stride must be 1 or more, got -4"),
        ({"batch_size": 0}, "batch size must be 1 or more, got 0"),
        ({"window_frames": 10**7}, "window must be at most 1048576, got 10000000"),
        ({"frame_size": 5000}, "frame size must be 4096 pixels or less, got 5000"),
        ({"fps": 0.0}, "fps must be above 0 and below 1000, got 0"),
        ({"fps": float("nan")}, "fps must be above 0 and below 1000, got nan"),
        ({"frame_size": 8}, "frame size must be 32 pixels or more, got 8"),
        ({"backbone": "mvit_v2_s", "frame_size": 112}, "mvit_v2_s takes frames of 224 pixels only, got 112"),
        ({"precision": "int8"}, "unknown precision 'int8'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"device": "cuda:x"}, "unknown device 'cuda:x'"),
    ],
)
def test_settings_that_are_wrong(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_extractor(**(SMALL | {"device": "cpu"} | changes))


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(MissingDependencyError, match=r"device 'cuda:99' is not available: torch sees \d+ CUDA devices"):
        choose_device("cuda:99")


def test_too_little_memory_names_the_batch_size(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = make_extractor(**SMALL, device="cpu", batch_size=7)

    def fail(clips: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(extractor, "_backbone", fail)
    with pytest.raises(AslKitError, match="too little memory for 7 clips at once") as caught:
        extractor.extract(video)
    assert caught.value.hint == "use a smaller --batch-size than 7"


def test_weights_do_not_depend_on_the_frame_size() -> None:
    spec = get_backbone("slowfast_r50")
    sizes = (spec.frame_size, 64)
    assert len({load_backbone(spec, weights="random", frame_size=size).weights_sha256 for size in sizes}) == 1
