"""Decoders: every frame once and in order, and one clear error for what is no whole video."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import wave
from pathlib import Path

import av
import decord
import numpy as np
import pytest
from helpers.support import write_video

from asl_extract.decoders import get_decoder
from asl_kit.errors import MissingDependencyError, MissingFileError, UsageError, VideoError

DECODERS = ["decord", "pyav"] + (["torchcodec"] if importlib.util.find_spec("torchcodec") else [])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "forty.mp4")


def read(path: Path, decoder: str, *, threads: int = 1, max_frames: int = 16) -> np.ndarray:
    reader = get_decoder(decoder).open_reader(path, threads=threads)
    try:
        return np.concatenate(list(reader.blocks(max_frames)))
    finally:
        reader.close()


def reference(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("decoder", DECODERS)
def test_every_frame_once_and_in_order(decoder: str, video: Path) -> None:
    reader = get_decoder(decoder).open_reader(video, threads=1)
    assert (reader.frame_count, reader.fps, reader.width, reader.height) == (40, 10.0, 64, 48)
    blocks = list(reader.blocks(16))
    assert [block.shape for block in blocks] == [(16, 48, 64, 3), (16, 48, 64, 3), (8, 48, 64, 3)]
    frames = np.concatenate(blocks).astype(int)
    # PyAV's own conversion differs in how it rounds colours; it tells frames apart all the same.
    distance = np.abs(frames[:, None] - reference(video)[None]).mean(axis=(2, 3, 4))
    assert distance.argmin(axis=1).tolist() == list(range(40))
    assert distance.diagonal().max() < 3


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(("threads", "max_frames"), [(0, 16), (2, 1), (1, 100)])
def test_threads_and_blocks_change_nothing(decoder: str, threads: int, max_frames: int, video: Path) -> None:
    assert np.array_equal(read(video, decoder, threads=threads, max_frames=max_frames), read(video, decoder))


def cut_file(source: Path, target: Path, *, share: float) -> Path:
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


@pytest.mark.parametrize("decoder", DECODERS)
def test_file_cut_off_after_its_index(decoder: str, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", frames=60, movflags="faststart")
    path = cut_file(whole, tmp_path / "cut.mp4", share=0.7)
    with pytest.raises(VideoError, match=r"cut\.mp4: [1-5]\d frames found, 60 expected: the file is truncated"):
        read(path, decoder)


@pytest.mark.parametrize("decoder", DECODERS)
def test_file_cut_off_before_its_index(decoder: str, video: Path, tmp_path: Path) -> None:
    path = cut_file(video, tmp_path / "cut.mp4", share=0.5)
    with pytest.raises(VideoError, match=r"cut\.mp4: the file ends within one of its parts: it is truncated"):
        read(path, decoder)


@pytest.mark.parametrize("decoder", DECODERS)
def test_damaged_packets(decoder: str, video: Path, tmp_path: Path) -> None:
    data = bytearray(video.read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (data.index(b"moov") - start) // 2
    data[middle : middle + 400] = b"\xff" * 400
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    with pytest.raises(
        VideoError, match=r"damaged\.mp4: \d+ frames found, 40 expected: the file is truncated or damaged"
    ):
        read(path, decoder)


def shorten_by_edit_list(source: Path, target: Path, *, frames: int) -> Path:
    """Copy packets with the first frames before time zero, as cutting without re-encoding does."""
    with av.open(str(source)) as whole, av.open(str(target), "w") as cut:
        stream = whole.streams.video[0]
        copy = cut.add_stream_from_template(stream)
        shift = frames * int(1 / (stream.average_rate * stream.time_base))
        for packet in whole.demux(stream):
            if packet.dts is not None:
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = copy
                cut.mux(packet)
    return target


@pytest.mark.parametrize("decoder", DECODERS)
def test_frames_before_the_edit_lists_start_are_left_out(decoder: str, video: Path, tmp_path: Path) -> None:
    path = shorten_by_edit_list(video, tmp_path / "cut.mp4", frames=10)
    assert len(decord.VideoReader(str(path))) > 30  # by itself decord would repeat the last frame to make up for them
    frames = read(path, decoder)
    assert np.array_equal(frames, read(video, decoder)[10:])


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_video_at_all(decoder: str, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("This is no video.\n" * 100)
    with pytest.raises(VideoError, match=r"text\.mp4: not a video that can be read: Invalid data found"):
        read(text, decoder)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(VideoError, match=r"empty\.mp4: the file is empty"):
        read(empty, decoder)
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8000))
    with pytest.raises(VideoError, match=r"sound\.wav: no video stream in the file"):
        read(sound, decoder)
    with pytest.raises(MissingFileError, match=r"gone\.mp4: no such file"):
        read(tmp_path / "gone.mp4", decoder)


def test_nothing_is_printed(tmp_path: Path, video: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("This is no video.")
    cut = cut_file(video, tmp_path / "cut.mp4", share=0.5)
    script = """
import sys
from pathlib import Path
from asl_extract.decoders import get_decoder
from asl_kit.errors import VideoError
for name in ("decord", "pyav"):
    for path in sys.argv[1:]:
        try:
            list(get_decoder(name).open_reader(Path(path), threads=1).blocks(16))
        except VideoError:
            pass
"""
    command = [sys.executable, "-c", script, str(text), str(cut), str(video)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")


def test_unknown_decoder() -> None:
    with pytest.raises(UsageError, match="unknown decoder 'opencv'") as caught:
        get_decoder("opencv")
    assert caught.value.hint == "decoders: decord, nvdec, pyav, torchcodec"


def test_decoder_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    monkeypatch.delitem(sys.modules, "asl_extract.decoders.torchcodec_reader", raising=False)
    with pytest.raises(MissingDependencyError, match="decoder 'torchcodec' cannot be loaded") as caught:
        get_decoder("torchcodec")
    assert "pip install 'asl-kit[torchcodec]'" in str(caught.value.hint)
    monkeypatch.setitem(sys.modules, "decord", None)
    monkeypatch.delitem(sys.modules, "asl_extract.decoders.decord_reader", raising=False)
    with pytest.raises(MissingDependencyError, match="decoder 'decord' cannot be loaded") as caught:
        get_decoder("decord")
    assert caught.value.hint == "use --decoder pyav, which works everywhere"


@pytest.mark.parametrize("decoder", DECODERS)
def test_version(decoder: str) -> None:
    package = "av" if decoder == "pyav" else decoder
    assert get_decoder(decoder).version() == f"{decoder} {sys.modules[package].__version__}"
