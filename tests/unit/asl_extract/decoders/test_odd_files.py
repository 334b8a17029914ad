"""Every decoder on every odd file: the right frames, or one clear reason; the same frames from each."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import decord
import numpy as np
import pytest
from helpers.support import write_video

from asl_extract.decoders import concealment, get_decoder
from asl_extract.decoders.probe import probe
from asl_extract.decoding.events import Decoded, DecodeSettings, Finished, decode_here
from asl_kit.errors import AslKitError, MissingDependencyError, MissingFileError, VideoError

DECODERS = ["decord", "pyav", "torchcodec"]


def need_torchcodec() -> None:
    """Skip where torchcodec, or the FFmpeg libraries that it looks for, are not installed."""
    try:
        get_decoder("torchcodec")
    except MissingDependencyError as fault:
        reason = f"{fault.message} (pip install torchcodec, apt-get install ffmpeg; ASL_KIT_REQUIRE_TORCHCODEC=1: fail)"
        if os.environ.get("ASL_KIT_REQUIRE_TORCHCODEC"):
            pytest.fail(reason)
        pytest.skip(reason)


def read(path: Path, decoder: str, *, threads: int = 1) -> np.ndarray:
    if decoder == "torchcodec":
        need_torchcodec()
    reader = get_decoder(decoder).open_reader(path, threads=threads)
    try:
        return np.concatenate(list(reader.blocks(16)))
    finally:
        reader.close()


def picture(index: int, width: int, height: int) -> av.VideoFrame:
    """Return a frame in which no row or column is like another, and no frame like the last."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([columns * 2 + index * 7, rows * 3 - index * 5, rows + columns + index], axis=-1) % 200
    image[4:14, index * 3 % (width - 12) :][:, :12] = (250, 30, 60)
    return av.VideoFrame.from_ndarray(image.astype(np.uint8), format="rgb24")


def encode(
    path: Path,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (64, 48),
    pixels: str = "yuv420p",
    frames: int = 20,
    rotation: int = 0,
    times_ms: list[int] | None = None,
    **options: str,
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        if rotation:
            stream.set_display_rotation(rotation)
        if times_ms is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(len(times_ms or range(frames))):
            frame = picture(index, *size)
            frame.pts = index if times_ms is None else times_ms[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def encode_beside(path: Path, *, others: list[tuple[str, tuple[int, int], int]], cover: bool) -> Path:
    """Write a film of 20 frames of 64x48, and other streams (codec, size, frames) of video beside."""
    with av.open(str(path), "w") as container:
        plan = [("libx264", (64, 48), 20), *others]
        streams = [container.add_stream(codec, rate=10) for codec, _, _ in plan]
        for stream, (codec, (width, height), _) in zip(streams, plan, strict=True):
            stream.width, stream.height = width, height
            stream.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
        if cover:
            streams[-1].disposition = av.stream.Disposition.attached_pic
        for stream, (_, size, frames) in zip(streams, plan, strict=True):
            for index in range(frames):
                container.mux(stream.encode(picture(index, *size)))
            container.mux(stream.encode())
    return path


def encode_sound(path: Path, *, codec: str, cover: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=44100, layout="mono")
        image = container.add_stream("png", rate=1) if cover else None
        if image is not None:
            image.width, image.height, image.pix_fmt = 64, 48, "rgb24"
            image.disposition = av.stream.Disposition.attached_pic
            container.mux(image.encode(picture(0, 64, 48)))
            container.mux(image.encode())
        size = stream.codec_context.frame_size or 1024
        for index in range(10):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, size), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, index * size
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def first_bytes(source: Path, target: Path, size: int) -> Path:
    target.write_bytes(source.read_bytes()[:size])
    return target


def twice(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes() * 2)
    return target


@dataclass(frozen=True)
class Odd:
    """A file, and what reading it gives: so many frames of that size, or an error."""

    make: Callable[[Path], Path]
    frames: int = 20
    size: tuple[int, int] = (64, 48)
    error: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    """Errors of single decoders."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What `probe` says."""
    unlike: str = ""
    """The decoder whose frames are slightly different from the others'."""


NO_TS = {
    "decord": r"decord stopped after \d+ of \d+ frames",
    "torchcodec": r"torchcodec stopped after \d+ of \d+ frames",
}
TWO_FILMS = {"decord": "2 video streams, of which decord cannot choose one"}

FILES = {
    "one frame": Odd(lambda d: encode(d / "x.mp4", frames=1), frames=1),
    "two frames, Matroska": Odd(lambda d: encode(d / "x.mkv", frames=2), frames=2),
    "odd size": Odd(lambda d: encode(d / "x.mp4", size=(101, 67), pixels="yuv444p"), size=(101, 67)),
    "odd width, halved colours": Odd(lambda d: encode(d / "x.avi", codec="mpeg4", size=(101, 66)), size=(101, 66)),
    "odd height, halved colours": Odd(
        lambda d: encode(d / "x.avi", codec="mpeg4", size=(100, 67)), size=(100, 67), unlike="decord"
    ),
    "rotated by 90": Odd(lambda d: encode(d / "x.mp4", size=(96, 64), rotation=90), size=(64, 96)),
    "rotated, narrow": Odd(
        lambda d: encode(d / "x.mov", rotation=90),
        size=(48, 64),
        refused={"decord": "decord cannot rotate frames of this width"},
    ),
    "rotated, Matroska": Odd(
        lambda d: encode(d / "x.mkv", size=(96, 64), rotation=90),
        size=(64, 96),
        refused={"decord": "decord does not turn the pictures of Matroska files"},
    ),
    "10 bits": Odd(lambda d: encode(d / "x.mp4", pixels="yuv420p10le"), unlike="decord"),
    "10 bits, rotated by 90": Odd(
        lambda d: encode(d / "x.mp4", size=(96, 64), pixels="yuv420p10le", rotation=90), size=(64, 96), unlike="decord"
    ),
    "10 bits, HEVC": Odd(
        lambda d: encode(d / "x.mkv", codec="libx265", pixels="yuv420p10le", **{"x265-params": "log-level=none"}),
        unlike="decord",
    ),
    "10 bits, whole colours": Odd(lambda d: encode(d / "x.mp4", pixels="yuv444p10le")),
    "interlaced": Odd(lambda d: encode(d / "x.mp4", flags="+ilme+ildct", **{"x264-params": "tff=1"})),
    "full range": Odd(lambda d: encode(d / "x.mp4", pixels="yuvj420p")),
    "VP9": Odd(lambda d: encode(d / "x.webm", codec="libvpx-vp9")),
    "VP8": Odd(lambda d: encode(d / "x.webm", codec="libvpx")),
    "MPEG-4 in AVI": Odd(lambda d: encode(d / "x.avi", codec="mpeg4")),
    "Motion JPEG in AVI": Odd(lambda d: encode(d / "x.avi", codec="mjpeg", pixels="yuvj420p")),
    "MPEG-4 with B-frames in AVI": Odd(
        lambda d: encode(d / "x.avi", codec="mpeg4", bf="2"),
        refused={"torchcodec": r"torchcodec stopped after \d+ of 20 frames"},
    ),
    "HEVC": Odd(lambda d: encode(d / "x.mkv", codec="libx265", **{"x265-params": "log-level=none"})),
    "B-frames and open groups": Odd(
        lambda d: encode(d / "x.mp4", g="6", bf="3", **{"b-adapt": "0", "x264-params": "open-gop=1"})
    ),
    "begins at 5 s": Odd(
        lambda d: encode(d / "x.mkv", times_ms=list(range(5000, 7000, 100))), facts={"fps": 10.0, "display_s": None}
    ),
    "begins before 0": Odd(
        lambda d: encode(d / "x.mp4", times_ms=list(range(-300, 1700, 100)), bf="0"),
        frames=17,
        facts={"fps": 10.0, "display_s": None},
    ),
    "MPEG-TS": Odd(lambda d: encode(d / "x.ts"), refused=NO_TS, facts={"fps": 10.0, "display_s": None}),
    "MPEG-TS whose clock starts anew": Odd(
        lambda d: twice(encode(d / "one.ts"), d / "x.ts"),
        frames=40,
        refused=NO_TS,
        facts={"fps": 10.0, "display_s": None},
    ),
    "two films": Odd(
        lambda d: encode_beside(d / "x.mp4", others=[("libx264", (32, 32), 20)], cover=False), refused=TWO_FILMS
    ),
    "film with a cover": Odd(
        lambda d: encode_beside(d / "x.mp4", others=[("png", (200, 100), 1)], cover=True), facts={"films": 1}
    ),
    "sound with a cover": Odd(
        lambda d: encode_sound(d / "x.mp3", codec="libmp3lame", cover=True),
        error="no video stream in the file, only a cover picture",
    ),
    "MP4 without films": Odd(lambda d: encode_sound(d / "x.mp4", codec="aac"), error="no video stream in the file"),
    "header alone": Odd(lambda d: first_bytes(encode(d / "w.mkv"), d / "x.mkv", 400), error="0 frames found|truncated"),
    "first bytes alone": Odd(
        lambda d: first_bytes(encode(d / "w.mp4"), d / "x.mp4", 32), error="not a video that can be read"
    ),
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("odd", [pytest.param(odd, id=name) for name, odd in FILES.items()])
def test_odd_files(odd: Odd, decoder: str, tmp_path: Path) -> None:
    path = odd.make(tmp_path)
    reason = odd.error or odd.refused.get(decoder)
    if reason:
        with pytest.raises(VideoError, match=reason) as caught:
            read(path, decoder)
        assert str(path) in caught.value.message
        assert odd.error or "--decoder pyav" in str(caught.value.hint)
        return
    facts = probe(path)
    for name, value in odd.facts.items():
        assert getattr(facts, name) == value
    frames = read(path, decoder)
    assert frames.shape == (odd.frames, *odd.size[::-1], 3)
    difference = np.abs(frames.astype(int) - read(path, "pyav")).mean()
    assert 0 < difference < 6 if odd.unlike == decoder else difference == 0


@pytest.mark.parametrize("decoder", DECODERS)
def test_hidden_frames_are_not_missing(decoder: str, ffmpeg: str, tmp_path: Path) -> None:
    source, path = write_video(tmp_path / "source.mp4", frames=60), tmp_path / "hidden.webm"
    command = [ffmpeg, "-v", "error", "-i", source, "-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "20"]
    command += ["-b:v", "200k", "-passlogfile", tmp_path / "log"]
    subprocess.run([*command, "-pass", "1", "-f", "null", os.devnull], check=True)
    subprocess.run([*command, "-pass", "2", path], check=True)
    with av.open(str(path)) as container:
        packets = sum(packet.size > 0 for packet in container.demux(video=0))
    frames = read(path, decoder)
    assert packets > len(frames) == 60
    assert np.array_equal(frames, read(path, "pyav"))


def test_display_times_of_uneven_frames(tmp_path: Path) -> None:
    times_ms = [200, 300, 737, 837, 1087, 1187]
    facts = probe(encode(tmp_path / "x.mp4", times_ms=times_ms, bf="2", **{"b-adapt": "0"}))
    assert facts.display_s is not None
    assert facts.display_s[:-1].tolist() == pytest.approx([(time - 200) / 1000 for time in times_ms])
    assert facts.fps == pytest.approx(6 / facts.display_s[-1])


def test_rate_that_the_file_states_wrongly(tmp_path: Path) -> None:
    # 30 frames 40 ms apart in a stream that was declared to have 10 a second.
    facts = probe(encode(tmp_path / "x.mkv", times_ms=list(range(0, 1200, 40))))
    assert (facts.fps, facts.display_s) == (pytest.approx(25.0), None)


@pytest.mark.parametrize("decoder", DECODERS)
def test_subtitles_attachments_and_sound_beside(decoder: str, ffmpeg: str, tmp_path: Path) -> None:
    film, sound, text = encode(tmp_path / "film.mp4"), encode_sound(tmp_path / "s.m4a", codec="aac"), tmp_path / "t.srt"
    text.write_text("1\n00:00:00,000 --> 00:00:02,000\nhello\n")
    path = tmp_path / "all.mkv"
    inputs = [part for file in (sound, text, film) for part in ("-i", str(file))]
    command = [ffmpeg, "-v", "error", *inputs, "-map", "0", "-map", "1", "-map", "2", "-c", "copy", "-c:s", "srt"]
    subprocess.run([*command, "-attach", str(text), "-metadata:s:t", "mimetype=text/plain", str(path)], check=True)
    with av.open(str(path)) as container:
        assert sorted(stream.type for stream in container.streams) == ["attachment", "audio", "subtitle", "video"]
    assert np.array_equal(read(path, decoder), read(film, decoder))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    "name", ["-y", "100%d", "a\nb", 'it\'s "so"', "take:1", "concat:x", "file:y", "übung 日本", "~", "a b", "#1?x=2"]
)
def test_names(name: str, decoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name}.mp4").write_bytes(encode(tmp_path / "plain.mp4", frames=3).read_bytes())
    assert read(Path(f"{name}.mp4"), decoder).shape == (3, 48, 64, 3)
    link = Path("link.mp4")
    link.symlink_to(f"{name}.mp4")
    assert read(link, decoder).shape == (3, 48, 64, 3)


def dangling(path: Path) -> None:
    path.symlink_to("gone.mp4")


def linked_to_itself(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        pytest.param(dangling, MissingFileError, "no such file: the link points to gone.mp4", id="dangling link"),
        pytest.param(linked_to_itself, VideoError, "cannot be read: Too many levels of symbolic links", id="loop"),
        pytest.param(Path.mkdir, VideoError, "a folder, not a video file", id="folder"),
        pytest.param(os.mkfifo, VideoError, "a pipe, socket or device, not a video file", id="pipe"),
    ],
)
def test_what_is_no_file(
    make: Callable[[Path], object], error: type[AslKitError], message: str, decoder: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.mp4"
    make(path)
    with pytest.raises(error, match=rf"x\.mp4: {message}"):
        read(path, decoder)


def test_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp4", frames=2)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file (root)")
    with pytest.raises(VideoError, match="not a video that can be read: Permission denied"):
        read(path, "pyav")
    path.chmod(stat.S_IRUSR)


def overwrite(source: Path, target: Path, *, packet: int) -> Path:
    """Overwrite 16 bytes in the middle of a packet, as a bad copy would."""
    with av.open(str(source)) as container:
        found = [item for item in container.demux(video=0) if item.size][packet]
        start = found.pos + found.size // 2
    content = bytearray(source.read_bytes())
    content[start : start + 16] = b"\xff" * 16
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(("codec", "suffix"), [("libx264", "mp4"), ("libx264", "mkv"), ("mpeg4", "avi")])
def test_made_up_frames_are_reported(codec: str, suffix: str, decoder: str, threads: int, tmp_path: Path) -> None:
    whole = encode(tmp_path / f"whole.{suffix}", codec=codec, size=(320, 240), bf="0", g="8")
    bad = overwrite(whole, tmp_path / f"bad.{suffix}", packet=8)
    # Left alone, decord hands out all frames and says nothing, though the picture is not what was recorded.
    frames, recorded = (np.stack([frame.asnumpy() for frame in decord.VideoReader(str(path))]) for path in (bad, whole))
    assert frames.shape == recorded.shape
    assert not np.array_equal(frames, recorded)
    with pytest.raises(VideoError, match=rf"bad\.{suffix}: frame \d+ is damaged and concealed") as caught:
        read(bad, decoder, threads=threads)
    assert "re-encode" in str(caught.value.hint) or "accept such frames" in str(caught.value.hint)
    assert np.array_equal(read(whole, decoder, threads=threads), recorded)  # the reader after it is not accused


def test_another_files_errors_accuse_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode(tmp_path / "whole.mp4", frames=40)
    bad = overwrite(
        encode(tmp_path / "source.avi", codec="mpeg4", size=(320, 240), g="8"), tmp_path / "x.avi", packet=8
    )
    looked: list[Path] = []
    real = concealment.first_damaged_frame
    monkeypatch.setattr(concealment, "first_damaged_frame", lambda path: (looked.append(path), real(path))[1])
    reader = get_decoder("decord").open_reader(whole, threads=1)
    with pytest.raises(VideoError, match="is damaged"):
        read(bad, "decord")
    assert sum(len(block) for block in reader.blocks(4)) == 40
    assert looked == [bad, whole]  # a file is decoded again only once


@pytest.mark.parametrize("decoder", ["decord", "torchcodec"])
def test_a_long_file_that_is_decoded_again_gives_signs_of_life(
    decoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event for longer than the time limit would give the video up."""
    if decoder == "torchcodec":
        need_torchcodec()
    whole = encode(tmp_path / "whole.mp4", frames=200)
    monkeypatch.setattr(get_decoder(decoder)._LOG, "readable", False)  # every file is decoded again
    real = concealment.first_damaged_frame

    def slow(path: Path) -> Generator[None, None, int | None]:
        frame = real(path)
        while True:
            time.sleep(0.1)
            try:
                yield next(frame)
            except StopIteration as end:
                return end.value

    monkeypatch.setattr(concealment, "first_damaged_frame", slow)
    settings = DecodeSettings(decoder=decoder, threads=1, window_frames=16, stride_frames=1, clip_frames=16)
    started_s = time.monotonic()
    events = [event for _, event in decode_here([("whole", whole)], settings, time_limit_s=1.0)]
    assert time.monotonic() - started_s > 1.3
    assert isinstance(events[-1], Finished)
    blocks = [event for event in events if isinstance(event, Decoded)]
    assert [(block.count, len(block.frames)) for block in blocks[:13]] == [(0, 0)] * 13  # 200 frames, one sign in 16
    assert [(block.count, len(block.frames)) for block in blocks[13:]] == [(16, 16)] * 12 + [(8, 8)]


def test_a_decoder_that_cannot_be_listened_to_is_checked_always(tmp_path: Path) -> None:
    log = concealment.FFmpegLog(tmp_path / "no library")
    assert not log.readable
    bad = overwrite(
        encode(tmp_path / "source.avi", codec="mpeg4", size=(320, 240), g="8"), tmp_path / "x.avi", packet=8
    )
    with pytest.raises(VideoError, match="is damaged"):
        list(concealment.DamageCheck(bad, log).check())
    list(concealment.DamageCheck(tmp_path / "source.avi", log).check())


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_still_scene_is_no_damage(decoder: str, tmp_path: Path) -> None:
    path = tmp_path / "still.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(100):
            container.mux(stream.encode(picture(3, 64, 48)))
        container.mux(stream.encode())
    frames = read(path, decoder)
    assert len(frames) == 100
    assert (frames[1:] == frames[:-1]).all(axis=(1, 2, 3)).sum() > 50


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_cut_in_an_open_group_is_no_damage(decoder: str, ffmpeg: str, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", frames=60)
    opened = FILES["B-frames and open groups"].make(tmp_path)
    for source in (whole, opened):
        cut = tmp_path / f"cut {source.name}"
        subprocess.run([ffmpeg, "-v", "error", "-ss", "1.1", "-i", source, "-c", "copy", cut], check=True)
        frames, before = read(cut, decoder), read(source, decoder)
        assert 0 < len(frames) < len(before)
        assert np.array_equal(frames[5:], before[-len(frames) :][5:])  # the first may refer to what was cut away
