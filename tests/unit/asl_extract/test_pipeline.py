"""Clips from the ring of prepared frames, and features, against naive loops over whole videos."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.extraction import make_extractor
from helpers.support import write_video
from hypothesis import given
from hypothesis import strategies as st

from asl_extract.clip_plan import ClipPlan
from asl_extract.decoding.events import BLOCK_FRAMES, Decoded, Event, Failed, Finished, Opened
from asl_extract.extractor import Extractor
from asl_extract.pipeline import FeaturePipeline, FrameCount
from asl_kit.errors import VideoError


class AsTheyAre:
    """A preparer that does nothing."""

    device = torch.device("cpu")

    def stream(self) -> AsTheyAre:
        return self

    def __call__(self, frames: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(frames).float()

    def finish(self) -> torch.Tensor:
        return torch.empty((0, 1, 1, 3))


class OneLate(AsTheyAre):
    """A preparer that holds back the last frame until the next has come, as optical flow does."""

    def __init__(self) -> None:
        self.last = torch.empty((0, 1, 1, 3))

    def stream(self) -> OneLate:
        return OneLate()

    def __call__(self, frames: np.ndarray) -> torch.Tensor:
        held = torch.cat([self.last, torch.as_tensor(frames).float()])
        self.last = held[-1:].clone()
        return held[:-1]

    def finish(self) -> torch.Tensor:
        return self.last


def numbered(plan: ClipPlan) -> Iterator[Event]:
    """Yield the events of a video whose frame i is a picture of 1 x 1 pixel that says i."""
    yield Opened(plan)
    for start in range(0, plan.frame_count, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, plan.frame_count)
        needed = plan.source_frames[(plan.source_frames >= start) & (plan.source_frames < stop)]
        for piece in range(0, max(1, len(needed)), BLOCK_FRAMES):
            frames = needed[piece : piece + BLOCK_FRAMES]
            yield Decoded(0 if piece else stop - start, np.repeat(frames, 3).reshape(-1, 1, 1, 3))
    yield Finished()


def numbers_of_clips(
    plans: list[ClipPlan], *, batch_size: int, prepare: AsTheyAre | None = None, mixed: bool = False
) -> tuple[list[list[list[int]]], list[int]]:
    """Return for each video its clips' frames, as they come out of the pipeline, and the sizes of all batches."""
    batches: list[int] = []

    def backbone(clips: torch.Tensor) -> torch.Tensor:
        batches.append(len(clips))
        assert clips.shape[1:2] + clips.shape[3:] == (3, 1, 1)
        return clips[:, 0, :, 0, 0].clone()

    pipeline = FeaturePipeline(
        backbone=backbone,  # type: ignore[arg-type]
        prepare=prepare or AsTheyAre(),  # type: ignore[arg-type]
        precision="float32",
        batch_size=batch_size,
        count=FrameCount(),
    )
    pipeline._mixes_videos = mixed
    # One event of each video in turn, as when several are decoded at a time.
    rounds = itertools.zip_longest(*map(numbered, plans))
    turns = ((str(index), event) for events in rounds for index, event in enumerate(events) if event is not None)
    results = dict(pipeline.run(turns))
    found = [results[str(index)] for index in range(len(plans))]
    return [video.features.astype(int).tolist() for video in found], batches  # type: ignore[union-attr]


@given(
    frame_counts=st.lists(st.integers(1, 150), min_size=1, max_size=3),
    window_frames=st.integers(1, 40),
    stride_frames=st.integers(1, 40),
    clip_frames=st.integers(1, 8),
    resample_fps=st.sampled_from([None, 7.0, 30.0, 75.0]),
    every_frame=st.booleans(),
    batch_size=st.integers(1, 9),
)
def test_clips_are_those_of_the_plan(
    frame_counts: list[int],
    window_frames: int,
    stride_frames: int,
    clip_frames: int,
    resample_fps: float | None,
    every_frame: bool,
    batch_size: int,
) -> None:
    plans = [
        ClipPlan(
            frame_count=frame_count,
            fps=30.0,
            window_frames=window_frames,
            stride_frames=stride_frames,
            clip_frames=clip_frames,
            resample_fps=resample_fps,
            every_frame=every_frame,
        )
        for frame_count in frame_counts
    ]
    expected = [plan.clips(0, plan.length).tolist() for plan in plans]
    clips, batches = numbers_of_clips(plans, batch_size=batch_size)
    assert clips == expected
    assert len(batches) == sum(-(-plan.length // batch_size) for plan in plans)  # batches of one video each
    assert numbers_of_clips(plans, batch_size=batch_size, prepare=OneLate())[0] == expected


def test_memory_does_not_grow_with_the_video() -> None:
    class Counting(torch.Tensor):
        allocated = 0

        def new_empty(self, size: tuple[int, ...]) -> torch.Tensor:  # type: ignore[override]
            Counting.allocated += size[0]
            return torch.empty(size, dtype=self.dtype)

    class Prepare(AsTheyAre):
        def __call__(self, frames: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(frames).float().as_subclass(Counting)

    sizes = []
    for frame_count in (500, 20_000):
        Counting.allocated = 0
        plan = ClipPlan(frame_count=frame_count, fps=30.0, window_frames=16, stride_frames=4, clip_frames=4)
        numbers_of_clips([plan], batch_size=8, prepare=Prepare())
        sizes.append(Counting.allocated)
    assert sizes == [16 + BLOCK_FRAMES + 8] * 2


def test_a_failed_video_leaves_the_others_alone() -> None:
    plan = ClipPlan(frame_count=40, fps=30.0, window_frames=4, stride_frames=2, clip_frames=2)
    good, bad = list(numbered(plan)), [*list(numbered(plan))[:2], Failed(VideoError("bad.mp4: broken"))]
    turns = [pair for index in range(5) for pair in (("good", good[index]), ("bad", bad[min(index, 2)]))]
    pipeline = FeaturePipeline(
        backbone=lambda clips: clips[:, 0, :, 0, 0].clone(),  # type: ignore[arg-type]
        prepare=AsTheyAre(),  # type: ignore[arg-type]
        precision="float32",
        batch_size=7,
        count=FrameCount(),
    )
    results = list(pipeline.run(iter(turns[:6] + [pair for pair in turns[6:] if pair[0] == "good"])))
    assert [video_id for video_id, _ in results] == ["bad", "good"]
    assert str(results[0][1]) == "bad.mp4: broken"
    assert results[1][1].features.astype(int).tolist() == plan.clips(0, plan.length).tolist()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", frames=50, size=(96, 64))


def small_extractor(**changes: object) -> Extractor:
    settings = {"backbone": "x3d_xs", "weights": "random", "window_frames": 16, "stride_frames": 4, "frame_size": 64}
    return make_extractor(**(settings | changes))


@torch.inference_mode()
@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_features_equal_a_naive_loop(decoder: str, video: Path) -> None:
    import decord
    from pytorchvideo.models import hub

    extracted = small_extractor(decoder=decoder).extract(video)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = hub.x3d_xs().eval()
    head = network.blocks[5]
    head.pool.pool.kernel_size = (4, 2, 2)  # the whole map at 64 pixels
    head.dropout, head.proj, head.activation, head.output_pool = torch.nn.Identity(), torch.nn.Identity(), None, None
    reader = decord.VideoReader(str(video))
    frames = torch.stack([torch.from_numpy(reader[i].asnumpy()) for i in range(len(reader))])
    expected = []
    for start in range(0, 50 - 16 + 1, 4):
        clip = frames[start : start + 16][[0, 5, 10, 15]].permute(3, 0, 1, 2) / 255
        clip = F.interpolate((clip - 0.45) / 0.225, size=(73, 109), mode="bilinear", align_corners=False)
        clip = clip[:, :, 4:68, 22:86]
        expected.append(network(clip[None]).flatten())
    scale = torch.stack(expected).abs().max().item()
    assert extracted.features.shape == (9, 2048)
    np.testing.assert_allclose(extracted.features, torch.stack(expected).numpy(), rtol=1e-4, atol=1e-5 * scale)
    assert (extracted.frames, extracted.fps, extracted.duration_s) == (50, 10.0, 5.0)
    assert extracted.grid.centers_s().tolist() == pytest.approx([0.8 + 0.4 * i for i in range(9)])


def test_features_do_not_depend_on_the_batch_size(video: Path) -> None:
    extracted = [small_extractor(batch_size=size).extract(video).features for size in (1, 4, 9, 32)]
    scale = np.abs(extracted[0]).max()
    assert np.ptp(extracted[0], axis=0).max() > 1e-3 * scale  # features of different clips do differ
    for features in extracted[1:]:
        np.testing.assert_allclose(features, extracted[0], rtol=1e-5, atol=1e-5 * scale)


def test_features_do_not_depend_on_videos_before(video: Path, tmp_path: Path) -> None:
    extractor = small_extractor()
    alone = extractor.extract(video).features
    extractor.extract(write_video(tmp_path / "other.mp4", frames=7))
    assert np.array_equal(extractor.extract(video).features, alone)


def test_each_frame_is_decoded_and_prepared_once(video: Path) -> None:
    extractor = small_extractor(window_frames=16, stride_frames=4)
    extractor.extract(video)
    assert extractor.count.decoded / extractor.count.in_files == 1.0
    # 9 clips of 4 frames; at this window and stride no two of them share a frame.
    assert extractor.count == FrameCount(decoded=50, prepared=36, in_files=50)
    denser = small_extractor(window_frames=16, stride_frames=1)
    denser.extract(video)
    assert denser.count == FrameCount(decoded=50, prepared=50, in_files=50)  # 35 clips of 4 frames share 50


def test_shorter_than_a_window(tmp_path: Path) -> None:
    extracted = small_extractor().extract(write_video(tmp_path / "short.mp4", frames=3))
    assert extracted.features.shape == (1, 2048)
    assert extracted.grid.length == 1


def test_resampled(video: Path) -> None:
    extractor = small_extractor(fps=5.0, window_frames=4, stride_frames=2)
    extracted = extractor.extract(video)
    # 50 frames at 10 a second become 25: source frames 1, 3, 5, ...
    assert extracted.features.shape == (11, 2048)
    assert extracted.grid.step_s == pytest.approx(0.4)
    assert (extracted.fps, extracted.frames, extracted.duration_s) == (10.0, 50, 5.0)
    assert extractor.count.prepared == 24


@pytest.mark.parametrize("precision", ["bfloat16"])
def test_half_precision_is_close(precision: str, video: Path) -> None:
    extractor = small_extractor(precision=precision)
    exact = small_extractor().extract(video).features
    close = extractor.extract(video).features
    assert close.dtype == np.float32
    error = np.abs(close - exact).max() / np.abs(exact).max()
    assert 0 < error < 0.05
