"""The decoder of the GPU, with the CPU in its place: all of it but the hardware. With it: tests/gpu/test_nvdec.py."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command_line import run
from helpers.extraction import make_extractor, run_extraction
from helpers.support import write_video

from asl_extract import decoders
from asl_extract.decoders import get_decoder
from asl_extract.decoding.events import Decoded, DecodeSettings, Finished, decode_here
from asl_extract.decoding.workers import choose_workers
from asl_extract.extractor import Extractor
from asl_kit.errors import AslKitError, MissingDependencyError, UsageError, VideoError
from asl_kit.store import FeatureStore

pytest.importorskip("torchcodec")
from torchcodec import decoders as torchcodec_decoders

from asl_extract.decoders import torchcodec_reader

SETTINGS = {"backbone": "x3d_xs", "weights": "random", "window_frames": 16, "stride_frames": 16, "frame_size": 64}


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the decoder take the CPU for a GPU; torchcodec then decodes there."""
    monkeypatch.setitem(decoders.GPU_DECODERS, "nvdec", "cpu")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "fifty.mp4", frames=50)


def blocks(path: Path, decoder: str) -> list[Any]:
    return list(get_decoder(decoder).open_reader(path, threads=1, device="cpu").blocks(16))


def test_tensors_of_torchcodecs_frames(video: Path) -> None:
    found = blocks(video, "nvdec")
    assert [(type(block), block.dtype, tuple(block.shape)) for block in found] == [
        (torch.Tensor, torch.uint8, (frames, 48, 64, 3)) for frames in (16, 16, 16, 2)
    ]
    assert np.array_equal(torch.cat(found).numpy(), np.concatenate(blocks(video, "torchcodec")))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="every frame"),
        pytest.param({"stride_frames": 40, "clip_frames": 2}, id="some frames"),
        pytest.param({"resample_fps": 75.0}, id="frames shown several times"),
    ],
)
def test_the_same_events_as_torchcodec(changes: dict[str, Any], video: Path) -> None:
    plain = DecodeSettings("nvdec", threads=1, window_frames=16, stride_frames=1, clip_frames=16)
    settings = replace(plain, **changes)
    found, expected = (
        [event for _, event in decode_here([("v", video)], chosen)]
        for chosen in (settings, replace(settings, decoder="torchcodec"))
    )
    assert len(found) == len(expected) >= 6
    assert found[-1] == Finished()
    for event, other in zip(found, expected, strict=True):
        assert type(event) is type(other)
        if isinstance(event, Decoded):
            assert isinstance(other, Decoded)
            assert isinstance(event.frames, torch.Tensor)
            assert event.count == other.count
            assert np.array_equal(event.frames.numpy(), other.frames)


@pytest.mark.usefixtures("on_cpu")
def test_features(video: Path, tmp_path: Path) -> None:
    summary = run_extraction([video], tmp_path / "nvdec", **SETTINGS, device="cpu", decoder="nvdec")
    run_extraction([video], tmp_path / "torchcodec", **SETTINGS, device="cpu", decoder="torchcodec")
    found, expected = (FeatureStore.open(tmp_path / name) for name in ("nvdec", "torchcodec"))
    assert (summary.done, summary.frames_decoded) == (["fifty"], 50)
    assert np.array_equal(found.read("fifty"), expected.read("fifty"))
    torchcodec = sys.modules["torchcodec"].__version__
    assert found.spec.decoder == f"nvdec (torchcodec {torchcodec})"
    assert expected.spec.decoder == f"torchcodec {torchcodec}"
    assert Extractor(found.spec, device="cpu").spec.decoder_name == "nvdec"


@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_without_a_gpu(device: str, video: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="decoder nvdec decodes on a GPU, but the device is cpu") as caught:
        run_extraction([video], tmp_path / "store", **SETTINGS, device=device, decoder="nvdec")
    assert caught.value.hint == "use --device cuda, or --decoder pyav, which works everywhere"
    assert not (tmp_path / "store").exists()
    with pytest.raises(UsageError, match="decodes on a GPU"):
        make_extractor(**SETTINGS, device="cpu", decoder="nvdec").extract(video)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_workers_are_refused(device: str, video: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="decodes in the process of the backbone, got --workers 2") as caught:
        run_extraction([video], tmp_path / "store", **SETTINGS, device=device, decoder="nvdec", workers=2)
    assert caught.value.hint == "omit --workers"
    assert not (tmp_path / "store").exists()


def test_no_workers_by_default() -> None:
    assert choose_workers("cuda", decoder="nvdec") == 0
    assert choose_workers("cuda", decoder="pyav") > 0


def test_command_line(video: Path, tmp_path: Path) -> None:
    words = ["extract", video, "-o", tmp_path / "store", "--backbone", "x3d_xs", "--weights", "random"]
    result = run(*words, "--device", "cpu", "--decoder", "nvdec")
    assert result.exit_code == 2
    assert "decoder nvdec decodes on a GPU" in result.output


def pretend(monkeypatch: pytest.MonkeyPatch, *, width: int, fault: str) -> None:
    """Let torchcodec say that it decodes videos of that width on the CPU, and why."""
    from torchcodec.decoders import VideoDecoder
    from torchcodec.decoders._video_decoder import CpuFallbackStatus

    def cpu_fallback(decoder: VideoDecoder) -> CpuFallbackStatus:
        status = CpuFallbackStatus(status_known=True)
        status._backend = "CUDA"
        if decoder.metadata.width == width:
            status._is_fallback = True
            setattr(status, fault, True)
        return status

    monkeypatch.setattr(VideoDecoder, "cpu_fallback", property(cpu_fallback))


@pytest.mark.usefixtures("on_cpu")
def test_a_video_that_nvdec_cannot_decode_is_not_decoded_elsewhere(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, width=96, fault="_video_not_supported")
    other = write_video(tmp_path / "other.mp4", size=(96, 48))
    summary = run_extraction([other, video], tmp_path / "store", **SETTINGS, device="cpu", decoder="nvdec")
    assert summary.done == ["fifty"]
    reason = f"{other}: this GPU's NVDEC cannot decode it: h264, 96x48"
    assert summary.failed == {"other": reason}
    assert FeatureStore.open(tmp_path / "store").ledger.failed_attempts()["other"].reason == reason


@pytest.mark.usefixtures("on_cpu")
def test_without_the_library_of_nvdec_the_run_ends(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, width=64, fault="_nvcuvid_unavailable")
    with pytest.raises(MissingDependencyError, match="NVDEC's library, libnvcuvid, cannot be loaded") as caught:
        run_extraction([video], tmp_path / "store", **SETTINGS, device="cpu", decoder="nvdec")
    assert "NVIDIA_DRIVER_CAPABILITIES" in str(caught.value.hint)
    assert FeatureStore.open(tmp_path / "store").ledger.failed_attempts() == {}  # the video's turn comes again


@pytest.mark.parametrize(
    "lacks", ["set_cuda_backend", "set_nvdec_cache_capacity", "cpu_fallback", "the backend 'nvdec'"]
)
def test_too_old_a_torchcodec(lacks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchcodec

    if lacks.startswith("set"):
        monkeypatch.delattr(torchcodec.decoders, lacks)
    elif lacks == "cpu_fallback":
        monkeypatch.delattr(torchcodec.decoders.VideoDecoder, lacks)
    else:  # it was called beta
        monkeypatch.setattr(torchcodec.decoders, "set_cuda_backend", refuse_names)
    monkeypatch.delitem(sys.modules, "asl_extract.decoders.nvdec_reader", raising=False)
    message = f"decoder 'nvdec' needs a newer torchcodec: torchcodec {torchcodec.__version__} lacks {lacks}"
    with pytest.raises(MissingDependencyError, match=re.escape(message)) as caught:
        get_decoder("nvdec")
    assert caught.value.hint == "pip install 'torchcodec>=0.17': it needs torch 2.11 or later, for CUDA 13"


def refuse_names(backend: str) -> None:
    raise ValueError(f"Invalid CUDA backend ({backend}). Supported values are beta and ffmpeg.")


@pytest.mark.usefixtures("on_cpu")
def test_torchcodec_for_the_cpu_only_ends_the_run(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(*_: object, **__: object) -> None:
        raise RuntimeError("Unsupported device: cuda (device type: cuda, variant: default)")

    monkeypatch.setattr(torchcodec_reader, "VideoDecoder", make)
    with pytest.raises(MissingDependencyError, match=r"needs a torchcodec for CUDA, found torchcodec 0\S+ for the CPU"):
        run_extraction([video], tmp_path / "store", **SETTINGS, device="cpu", decoder="nvdec")
    assert FeatureStore.open(tmp_path / "store").ledger.failed_attempts() == {}


def test_nvdec_is_asked_for_by_name_and_keeps_no_decoders(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept decoders cut frames of another height wrongly: torchcodec's issue 1704."""
    from torchcodec.decoders import get_nvdec_cache_capacity, set_nvdec_cache_capacity
    from torchcodec.decoders._decoder_utils import _get_cuda_backend

    asked = []
    original = torchcodec_reader.VideoDecoder

    def make(*arguments: Any, **options: Any) -> Any:
        asked.append((_get_cuda_backend(), get_nvdec_cache_capacity()))
        return original(*arguments, **options)

    monkeypatch.setattr(torchcodec_reader, "VideoDecoder", make)
    set_nvdec_cache_capacity(20)
    with torchcodec_decoders.set_cuda_backend("ffmpeg"):
        named = blocks(video, "nvdec")
    assert len(named) == 4
    assert asked == [("default", 0)]  # torchcodec's inner name of nvdec


def test_too_little_memory_is_not_the_files_fault(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchcodec.decoders import VideoDecoder

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(VideoDecoder, "get_frames_in_range", full)
    with pytest.raises(AslKitError, match="the device has too little memory to decode it") as caught:
        blocks(video, "nvdec")
    assert not isinstance(caught.value, VideoError)


def cut(video: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    whole = write_video(folder / "whole.mp4", frames=60, movflags="faststart")
    path = folder / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    yield path, r"cut\.mp4: [1-5]\d frames found, 60 expected: the file is truncated"
    path = folder / "empty.mp4"
    path.touch()
    yield path, r"empty\.mp4: the file is empty"


def test_files_cut_off(video: Path, tmp_path: Path) -> None:
    for path, message in cut(video, tmp_path):
        with pytest.raises(VideoError, match=message):
            blocks(path, "nvdec")
