"""Files that every player shows are read as they are shown, and files whose end is missing are refused."""

from __future__ import annotations

import itertools
import lzma
import os
import struct
import subprocess
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from helpers.support import write_video

from asl_extract.decoders import get_decoder
from asl_extract.decoders.file_ends import ends_early
from asl_extract.decoders.headers import read_headers
from asl_extract.decoders.probe import probe, read_header
from asl_extract.decoding.events import DecodeSettings, Opened, decode_video
from asl_kit.errors import MissingDependencyError, VideoError

DECODERS = ["decord", "pyav", "torchcodec"]


def read(path: Path, decoder: str = "pyav") -> np.ndarray:
    try:
        module = get_decoder(decoder)
    except MissingDependencyError as fault:
        pytest.skip(fault.message)
    reader = module.open_reader(path, threads=1, device="cpu")
    try:
        return np.concatenate(list(reader.blocks(16)))
    finally:
        reader.close()


def picture(index: int, width: int, height: int, pixels: str = "rgb24") -> av.VideoFrame:
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([columns * 2 + index * 7, rows * 3 - index * 5, rows + columns + index], axis=-1) % 200
    return av.VideoFrame.from_ndarray(image.astype(np.uint8), format="rgb24").reformat(format=pixels)


def encode(
    path: Path,
    codec: str,
    *,
    pixels: str = "yuv420p",
    frames: int = 50,
    size: tuple[int, int] = (96, 64),
    times_ms: list[int] | None = None,
    muxer: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """Write a video of 25 frames a second."""
    with av.open(str(path), "w", options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        if times_ms is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(len(times_ms or range(frames))):
            frame = picture(index, *size, pixels)
            frame.pts = index if times_ms is None else times_ms[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def h264(path: Path, **options: str) -> Path:
    return encode(path, "libx264", **options)


# Display matrices

MATRICES: dict[str, tuple[tuple[int, int, int, int], Callable[[np.ndarray], np.ndarray]]] = {
    "upright": ((1, 0, 0, 1), lambda frame: frame),
    "mirrored": ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
    "upside down": ((-1, 0, 0, -1), lambda frame: frame[::-1, ::-1]),
    "mirrored, upside down": ((1, 0, 0, -1), lambda frame: frame[::-1]),
    "clockwise": ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),
    "counter-clockwise": ((0, -1, 1, 0), np.rot90),
    "transposed": ((0, 1, 1, 0), lambda frame: frame.swapaxes(0, 1)),
    "transposed on the other diagonal": ((0, -1, -1, 0), lambda frame: np.rot90(frame, 2).swapaxes(0, 1)),
}


def with_matrix(source: Path, target: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Copy an MP4 with another display matrix in its track header (ISO/IEC 14496-12, 8.3.2)."""
    data, (a, b, c, d) = bytearray(source.read_bytes()), matrix
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    target.write_bytes(data)
    return target


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return h264(tmp_path_factory.mktemp("matrices") / "plain.mp4", frames=2, pixels="yuv444p")


@pytest.mark.parametrize("name", MATRICES)
def test_pictures_are_turned_and_mirrored_as_displayed(name: str, ffmpeg: str, plain: Path, tmp_path: Path) -> None:
    matrix, change = MATRICES[name]
    path = with_matrix(plain, tmp_path / "x.mp4", matrix)
    expected = np.stack([change(frame) for frame in read(plain)])
    command = [ffmpeg, "-v", "error", "-i", path, "-vf", "scale=flags=bicubic,format=rgb24"]
    shown = subprocess.run([*command, "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    # The program's FFmpeg may round colours in another way.
    assert np.abs(np.frombuffer(shown, np.uint8).reshape(expected.shape).astype(int) - expected).mean() < 1
    for decoder in DECODERS:
        assert np.array_equal(read(path, decoder), expected), decoder


# Packets that are not frames


def fields(folder: Path) -> Path:
    """Return ten frames of H.264, each of whose fields is a packet; written bit by bit, as encoders for it are rare."""
    path = folder / "fields.ts"
    path.write_bytes(lzma.decompress((Path(__file__).parent / "paff_10frames.ts.xz").read_bytes()))
    return path


def cut_at_open_group(folder: Path) -> Path:
    """Copy a video from its second key frame on: the frames that are shown before it refer to what is gone."""
    options = {"x265-params": "open-gop=1:keyint=20:min-keyint=20:bframes=3:b-adapt=0:scenecut=0:log-level=none"}
    whole, path = encode(folder / "whole.mkv", "libx265", **options), folder / "cut.mkv"
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        copy = target.add_stream_from_template(source.streams.video[0])
        keys = 0
        for packet in source.demux(video=0):
            keys += packet.is_keyframe
            if keys > 1 and packet.size:
                packet.stream = copy
                target.mux(packet)
    return path


def hidden_packets(folder: Path, ffmpeg: str) -> Path:
    """Return VP9 whose hidden frames are packets of their own, as hardware encoders write it."""
    source, merged, path = folder / "source.mp4", folder / "merged.webm", folder / "hidden.nut"
    write_video(source, frames=50)
    command = [ffmpeg, "-v", "error", "-i", source, "-c:v", "libvpx-vp9", "-auto-alt-ref", "1", "-lag-in-frames", "20"]
    command += ["-b:v", "200k", "-cpu-used", "5", "-passlogfile", folder / "log"]
    subprocess.run([*command, "-pass", "1", "-f", "null", os.devnull], check=True)
    subprocess.run([*command, "-pass", "2", merged], check=True)
    with av.open(str(merged)) as whole, av.open(str(path), "w") as target:
        stream = whole.streams.video[0]
        copy, split = target.add_stream_from_template(stream), BitStreamFilterContext("vp9_superframe_split", stream)
        for packet in whole.demux(stream):
            shown_at = packet.pts
            parts = split.filter(packet) if packet.size else []
            for hidden_after, part in zip(reversed(range(len(parts))), parts, strict=True):
                part.pts = part.dts = shown_at - hidden_after
                part.stream = copy
                target.mux(part)
    return path


def packets(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))


def test_two_fields_are_a_frame(tmp_path: Path) -> None:
    path = fields(tmp_path)
    assert packets(path) == 20
    assert probe(path).frame_count == 10
    assert len(read(path)) == 10
    assert np.array_equal(read(path, "decord"), read(path))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "flv", "m2ts"])
def test_two_fields_are_a_frame_in_every_container(suffix: str, ffmpeg: str, tmp_path: Path) -> None:
    source, path = fields(tmp_path), tmp_path / f"copy.{suffix}"
    subprocess.run([ffmpeg, "-v", "error", "-fflags", "+genpts", "-i", source, "-c", "copy", path], check=True)
    facts = probe(path)
    assert (facts.frame_count, facts.fps, facts.display_s) == (10, pytest.approx(12.5), None)  # by its time stamps
    assert np.array_equal(read(path), read(source))


@pytest.mark.parametrize("decoder", DECODERS)
def test_frames_that_lack_what_they_refer_to_are_not_shown(decoder: str, tmp_path: Path) -> None:
    path = cut_at_open_group(tmp_path)
    facts = probe(path)
    assert (facts.frame_count, facts.fps, facts.display_s) == (30, 25.0, None)
    assert packets(path) > 30
    assert np.array_equal(read(path, decoder), read(tmp_path / "whole.mkv", decoder)[20:])


def test_hidden_frames_in_packets_of_their_own(ffmpeg: str, tmp_path: Path) -> None:
    path = hidden_packets(tmp_path, ffmpeg)
    assert packets(path) > 50 == probe(path).frame_count
    assert np.array_equal(read(path), read(tmp_path / "merged.webm"))


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
def test_empty_chunks_of_avi_show_the_frame_before_on(codec: str, tmp_path: Path) -> None:
    times_ms = [0, 40, 80, 400, 440, 480]
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encode(tmp_path / "x.avi", codec, pixels=pixels, times_ms=times_ms)
    facts = probe(path)
    assert facts.display_s is not None
    assert facts.display_s[:-1].tolist() == pytest.approx([time / 1000 for time in times_ms])
    assert facts.fps == pytest.approx(6 / facts.display_s[-1])
    assert len(read(path)) == 6


def test_empty_chunks_between_all_frames(ffmpeg: str, tmp_path: Path) -> None:
    source, path = h264(tmp_path / "source.mp4", bf="3"), tmp_path / "x.avi"
    subprocess.run([ffmpeg, "-v", "error", "-i", source, "-c", "copy", path], check=True)
    facts = probe(path)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 2 * facts.frame_count == 100
    assert (facts.fps, facts.display_s) == (pytest.approx(25.0), None)
    assert np.array_equal(read(path), read(source))


def test_the_last_frame_of_an_avi_stays_through_empty_chunks(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.avi", "mpeg4", frames=20)
    data = bytearray(path.read_bytes())
    chunks = data.index(b"strh") + 8 + 32
    data[chunks : chunks + 4] = struct.pack("<I", 45)
    path.write_bytes(data)
    facts = probe(path)
    assert facts.display_s is not None
    assert facts.display_s[[19, 20]].tolist() == pytest.approx([19 / 25, 45 / 25])


# Ends that are missing

WHOLE: dict[str, Callable[[Path], Path]] = {
    "FLV": lambda folder: h264(folder / "x.flv"),
    "MXF": lambda folder: encode(folder / "x.mxf", "mpeg2video"),
    "Matroska": lambda folder: h264(folder / "x.mkv"),
    "live Matroska": lambda folder: h264(folder / "x.mkv", muxer={"live": "1"}),
    "WebM": lambda folder: encode(folder / "x.webm", "libvpx"),
    "AVI": lambda folder: encode(folder / "x.avi", "mpeg4"),
    "AVI with empty chunks": lambda folder: encode(
        folder / "x.avi", "mpeg4", times_ms=[*range(0, 800, 40), *range(1200, 2000, 40)]
    ),
    "ASF": lambda folder: encode(folder / "x.wmv", "wmv2"),
    "Ogg": lambda folder: encode(folder / "x.ogv", "libvpx"),
    "MP4": lambda folder: h264(folder / "x.mp4", muxer={"movflags": "faststart"}),
    "fragmented MP4": lambda folder: h264(folder / "x.mp4", g="10", muxer={"movflags": "frag_keyframe+empty_moov"}),
    "cut at an open group": cut_at_open_group,
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_is_read_as_a_whole_and_refused_when_cut(name: str, tmp_path: Path) -> None:
    whole = WHOLE[name](tmp_path)
    assert len(read(whole)) == probe(whole).frame_count > 0
    data = whole.read_bytes()
    cut = tmp_path / f"cut{whole.suffix}"
    for percent in (50, 70, 90):
        cut.write_bytes(data[: len(data) * percent // 100])
        with pytest.raises(VideoError, match=r"cut\.\w+: .*(truncated|damaged)"):
            read(cut)


def test_a_recording_that_states_no_length_is_read_with_a_word(tmp_path: Path) -> None:
    path = WHOLE["live Matroska"](tmp_path)
    assert "states no length" in probe(path).note
    assert not probe(WHOLE["Matroska"](tmp_path)).note


def test_a_stream_without_length_that_is_cut_where_a_part_begins(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "x.mkv"), "w", options={"live": "1", "cluster_time_limit": "500"}) as container:
        film = container.add_stream("mpeg4", rate=25)
        film.width, film.height, film.pix_fmt = 96, 64, "yuv420p"
        for index in range(50):
            container.mux(film.encode(picture(index, 96, 64)))
        container.mux(film.encode())
    data = bytearray((tmp_path / "x.mkv").read_bytes())
    starts = [place for place in range(len(data)) if data[place : place + 4] == b"\x1f\x43\xb6\x75"]
    for start, end in itertools.pairwise(starts):
        data[start + 4 : start + 12] = (1 << 56 | end - start - 12).to_bytes(8, "big")  # clusters of known sizes
    assert len(starts) > 2
    path = tmp_path / "cut.mkv"
    path.write_bytes(data[: starts[1]])
    assert not ends_early(path)
    for size in range(starts[1] + 5, starts[1] + 20):
        path.write_bytes(data[:size])
        assert ends_early(path)


@pytest.mark.parametrize(
    ("make", "after"),
    [
        (lambda folder: h264(folder / "x.mkv", muxer={"cluster_time_limit": "400"}), 0),
        (WHOLE["FLV"], 0),
        (WHOLE["ASF"], 0),
        (WHOLE["Ogg"], 300),
    ],
    ids=["Matroska", "FLV", "ASF", "Ogg"],
)
def test_a_file_that_lacks_a_part_in_the_middle_is_refused(
    make: Callable[[Path], Path], after: int, ffmpeg: str, tmp_path: Path
) -> None:
    whole = make(tmp_path)
    data = bytearray(whole.read_bytes())
    with av.open(str(whole)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.pos]
    place = places[len(places) // 2] + after
    data[place : place + 40] = bytes(40)
    path = tmp_path / f"lacking{whole.suffix}"
    path.write_bytes(data)
    shown = subprocess.run([ffmpeg, "-v", "error", "-i", path, "-f", "null", "-"], capture_output=True, check=False)
    assert shown.stderr
    with pytest.raises(VideoError, match=rf"lacking\{whole.suffix}: damaged, so that frames may be missing: ."):
        probe(path)
    assert probe(whole).frame_count == 50  # the file after it is not accused


def noise(index: int, width: int, height: int) -> av.VideoFrame:
    pixels = np.random.default_rng(index).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24")


def stream_of_packets(path: Path, muxer: str, picture: Callable[[int, int, int], av.VideoFrame] = picture) -> Path:
    codec = "mpeg1video" if muxer == "mpeg" else "mpeg2video"
    with av.open(str(path), "w", format=muxer, options={"mpegts_m2ts_mode": "1"} if "m2ts" in path.name else {}) as out:
        film = out.add_stream(codec, rate=25)
        film.width, film.height, film.pix_fmt = 96, 64, "yuv420p"
        for index in range(20):
            out.mux(film.encode(picture(index, 96, 64)))
        out.mux(film.encode())
    return path


@pytest.mark.parametrize(
    ("name", "muxer", "more"),
    [("x.ts", "mpegts", 100), ("x.m2ts", "mpegts", 100), ("x.vob", "vob", 100), ("x.mpg", "mpeg", 40)],
)
def test_a_stream_that_ends_within_a_packet_is_read_with_a_word(
    name: str, muxer: str, more: int, ffmpeg: str, tmp_path: Path
) -> None:
    path = stream_of_packets(tmp_path / name, muxer)
    data = path.read_bytes()
    frames = read(path)
    assert len(frames) == 20
    assert not probe(path).note
    path.write_bytes(data + data[:more])  # the next packet is cut off
    command = [ffmpeg, "-v", "error", "-i", path, "-fps_mode", "passthrough", "-f", "framehash", "-"]
    shown = subprocess.run(command, capture_output=True, check=True)
    assert not shown.stderr
    assert sum(not line.startswith(b"#") for line in shown.stdout.splitlines()) == 20
    for found in (probe(path), read_header(path)):
        assert found.note == "the file ends within a packet: its end may have been cut off"
    assert np.array_equal(read(path), frames)


@pytest.mark.parametrize(("name", "muxer"), [("x.ts", "mpegts"), ("x.m2ts", "mpegts")])
def test_a_stream_that_ends_between_packets_but_within_a_picture_is_refused_from_its_header_on(
    name: str, muxer: str, tmp_path: Path
) -> None:
    path = stream_of_packets(tmp_path / name, muxer, noise)
    assert len(read(path)) == 20
    size = 192 if name == "x.m2ts" else 188
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4 // size * size])
    for attempt in (read, read_header):
        with pytest.raises(VideoError, match="a picture at its end is damaged"):
            attempt(path)


# What a run says


def test_a_picture_that_begins_after_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        film, sound = container.add_stream("libx264", rate=25), container.add_stream("aac", rate=8000, layout="mono")
        film.width, film.height, film.pix_fmt = 96, 64, "yuv420p"
        for index in range(40):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 8000, index * 1024
            container.mux(sound.encode(samples))
        for index in range(20):
            frame = picture(index, 96, 64)
            frame.pts, frame.time_base = 75 + index, Fraction(1, 25)
            container.mux(film.encode(frame))
        container.mux([*film.encode(), *sound.encode()])
    settings = DecodeSettings(decoder="pyav", threads=1, window_frames=16, stride_frames=4, clip_frames=4)
    opened = next(decode_video(path, settings))
    assert isinstance(opened, Opened)
    assert opened.note.startswith("the picture begins 3.0 s after the sound")
    assert (opened.plan.frame_count, opened.plan.fps) == (20, 25.0)


def encrypted(folder: Path) -> Path:
    keys = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    return h264(folder / "x.mp4", frames=5, muxer=keys)


def unknown(folder: Path, suffix: str, codec: bytes) -> Path:
    path = h264(folder / f"x.{suffix}", frames=5)
    path.write_bytes(path.read_bytes().replace(codec, b"X" * len(codec)))
    return path


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def other_file(folder: Path) -> str:
    return h264(folder / "other.mp4", frames=5).name


def segment(folder: Path) -> Path:
    """Return a fragmented MP4 without its header, as streams over HTTP have it in a file of its own."""
    path = h264(folder / "x.mp4", muxer={"movflags": "frag_keyframe+empty_moov"})
    data = path.read_bytes()
    path.write_bytes(data[data.index(b"moof") - 4 :])
    return path


def without_type(path: Path) -> Path:
    """Drop the first box of a QuickTime file, and the index behind the pictures; older programs write no such box."""
    data = path.read_bytes()
    path.write_bytes(data[data.index(b"wide") - 4 : data.index(b"moov") - 100])
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "encrypted": (encrypted, "the video is encrypted"),
    "unknown codec in MP4": (lambda folder: unknown(folder, "mp4", b"avc1"), "a codec that FFmpeg does not know"),
    "unknown codec in Matroska": (
        lambda folder: unknown(folder, "mkv", b"MPEG4/ISO/AVC"),
        "a codec that FFmpeg does not know",
    ),
    "animated WebP": (
        lambda folder: encode(folder / "x.webp", "libwebp_anim", frames=3),
        "an animated WebP, which FFmpeg cannot read",
    ),
    "list of files": (
        lambda folder: written(folder / "x.mp4", f"ffconcat version 1.0\nfile {other_file(folder)}\n"),
        "a list of other files or addresses, which are not opened",
    ),
    "address": (
        lambda folder: written(
            folder / "x.mp4",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
            "a=rtpmap:96 H264/90000\n",
        ),
        "a list of other files or addresses, which are not opened",
    ),
    "playlist": (
        lambda folder: written(
            folder / "x.m3u8",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{other_file(folder)}\n#EXT-X-ENDLIST\n",
        ),
        "a list of other files or addresses, which are not opened",
    ),
    "old QuickTime, cut off": (lambda folder: without_type(h264(folder / "x.mov")), "truncated"),
    "segment": (segment, "a segment of a stream, whose header is in another file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_reason_is_true(name: str, tmp_path: Path) -> None:
    make, reason = REFUSED[name]
    path = make(tmp_path)
    for decoder in ("pyav", "decord"):
        with pytest.raises(VideoError, match=reason) as caught:
            read(path, decoder)
        assert caught.value.message.startswith(f"{path}: ")


def test_headers_are_read_of_the_files_that_can_be_extracted(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in [*REFUSED, "whole"]}
    for folder in folders.values():
        folder.mkdir()
    files = {name: make(folders[name]) for name, (make, _) in REFUSED.items()}
    headers, unreadable = read_headers(files | {"whole": h264(folders["whole"] / "x.mkv")})
    assert list(headers) == ["whole"]
    assert (headers["whole"].fps, headers["whole"].duration_s) == (25.0, 2.0)
    assert all(reason in unreadable[name] for name, (_, reason) in REFUSED.items())


def test_the_picture_not_the_alpha_plane(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    with av.open(str(path), "w") as container:
        kinds = ("gray", "yuv420p")
        streams = [container.add_stream("ffv1", rate=25) for _ in kinds]
        for stream, pixels in zip(streams, kinds, strict=True):
            stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for stream in streams:
            for index in range(5):
                container.mux(stream.encode(picture(index, 96, 64, stream.pix_fmt)))
            container.mux(stream.encode())
    facts = probe(path)
    assert (facts.stream_index, facts.films) == (1, 1)
    [red, _, blue] = np.moveaxis(read(path)[0].astype(int), -1, 0)
    assert np.abs(red - blue).mean() > 5


def test_a_picture_with_a_named_colour_profile(tmp_path: Path) -> None:
    """PyAV 18 crashes where it lists the side data of such a picture."""
    path = tmp_path / "x.mp4"
    data = encode(tmp_path / "x.png", "png", pixels="rgb24", frames=1, muxer={"update": "1"}).read_bytes()
    body = b"iCCPname\0\0" + zlib.compress(bytes(200))
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(data[:33] + chunk + data[33:])
    headers, unreadable = read_headers({"x": path})  # in a process of its own
    assert (list(headers), unreadable) == (["x"], {})
