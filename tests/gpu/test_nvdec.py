"""The GPU's own decoder gives the frames of the others, but for how it converts colours. Skipped as `test_agreement`.

The tolerances are set wide of what differs by design, where colours at half the resolution are put between pixels;
a frame out of place or a wrong colour matrix is far outside them.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from helpers.extraction import make_extractor
from helpers.support import write_video

from asl_extract.decoders import get_decoder
from asl_extract.decoding.events import Decoded, DecodeSettings
from asl_extract.decoding.threads import decode_in_threads
from asl_extract.extractor import ExtractedVideo
from asl_kit.errors import VideoError

pytestmark = pytest.mark.gpu

LEVELS = 4.0
"""Mean difference of frames, in levels of 255."""
SHARE = 0.1
"""Largest difference of features, as a share of the largest feature."""
SIZE = (320, 240)  # NVDEC knows no HEVC below 144 x 144


def read(path: Path, decoder: str) -> np.ndarray:
    blocks = get_decoder(decoder).open_reader(path, threads=1, device="cuda:0").blocks(16)
    return np.concatenate([torch.as_tensor(block).cpu().numpy() for block in blocks]).astype(np.float32)


def convert(source: Path, target: Path, *, codec: str, pixels: str = "yuv420p", **options: str) -> Path:
    with av.open(str(source)) as whole, av.open(str(target), "w") as out:
        stream = out.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
        for frame in whole.decode(video=0):
            out.mux(stream.encode(frame.reformat(format=pixels)))
        out.mux(stream.encode())
    return target


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "h264.mp4", frames=60, size=SIZE)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_frames(codec: str, video: Path, tmp_path: Path) -> None:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = video if codec == "libx264" else convert(video, tmp_path / "v.mkv", codec=codec, **options)
    found, expected = read(path, "nvdec"), read(path, "pyav")
    assert found.shape == expected.shape
    distances = np.stack([np.abs(found - frame).mean(axis=(1, 2, 3)) for frame in expected])
    assert distances.argmin(axis=0).tolist() == list(range(60))
    assert distances.diagonal().max() < LEVELS


def test_frames_stay_on_the_gpu(video: Path) -> None:
    reader = get_decoder("nvdec").open_reader(video, threads=1, device="cuda:0")
    assert all(isinstance(block, torch.Tensor) and block.is_cuda for block in reader.blocks(16))


@pytest.mark.parametrize("heights", [(532, 530), (530, 532)], ids=str)
def test_heights_of_the_same_coded_size(heights: tuple[int, int], tmp_path: Path) -> None:
    """Decoders that torchcodec keeps cut the frames of the second file wrongly: its issue 1704."""
    for height in heights:
        path = write_video(tmp_path / f"{height}.mp4", frames=10, size=(640, height))
        found, expected = read(path, "nvdec"), read(path, "pyav")
        assert np.abs(found - expected).mean(axis=(1, 2, 3)).max() < LEVELS


def test_streams_of_their_own(video: Path, tmp_path: Path) -> None:
    """Frames of several videos decoded at a time are complete when the compute stream reads them."""
    videos = [("0", video), *((str(i), write_video(tmp_path / f"{i}.mp4", frames=60, size=SIZE)) for i in range(1, 6))]
    settings = DecodeSettings("nvdec", threads=1, window_frames=1, stride_frames=1, clip_frames=1, device="cuda:0")
    found: dict[str, list[np.ndarray]] = {}
    computing = torch.cuda.current_stream()
    for video_id, event in decode_in_threads(videos, settings):
        if isinstance(event, Decoded):
            assert isinstance(event.frames, torch.Tensor)
            assert event.ready is not None
            computing.wait_event(event.ready)
            found.setdefault(video_id, []).append(event.frames.cpu().numpy().astype(np.float32))
            event.release()
    for video_id, path in videos:
        np.testing.assert_array_equal(np.concatenate(found[video_id]), read(path, "nvdec"))


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_features(batch_size: int, video: Path, tmp_path: Path) -> None:
    videos = [("a", video), ("b", write_video(tmp_path / "b.mp4", frames=35, size=SIZE))]
    settings = {"backbone": "x3d_xs", "weights": "random", "window_frames": 16, "stride_frames": 4, "frame_size": 64}
    settings |= {"device": "cuda", "precision": "float32"}
    alone = make_extractor(**settings, decoder="nvdec")
    together = make_extractor(**settings, decoder="nvdec", batch_size=batch_size)
    other = make_extractor(**settings, decoder="pyav")
    for video_id, result in together.extract_all(videos):
        assert isinstance(result, ExtractedVideo)
        path = dict(videos)[video_id]
        same, close = alone.extract(path).features, other.extract(path).features
        np.testing.assert_allclose(result.features, same, rtol=1e-5, atol=1e-5 * np.abs(same).max())
        np.testing.assert_allclose(result.features, close, atol=SHARE * np.abs(close).max())


@pytest.mark.parametrize(("codec", "pixels"), [("mjpeg", "yuvj420p"), ("ffv1", "yuv420p")])
def test_what_nvdec_cannot_decode_is_refused(codec: str, pixels: str, video: Path, tmp_path: Path) -> None:
    path = convert(video, tmp_path / "v.mkv", codec=codec, pixels=pixels)
    with pytest.raises(VideoError, match=r"v\.mkv: this GPU's NVDEC cannot decode it: \w+, 320x240"):
        read(path, "nvdec")
