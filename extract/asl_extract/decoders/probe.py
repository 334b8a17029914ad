"""The metadata of a video file: reads the header or the index and decodes nothing.

Every decoder calls `probe` first, so a truncated file, or one that is not a video, gives the same message with
every decoder.
"""

from __future__ import annotations

import math
import stat
from dataclasses import dataclass
from pathlib import Path

import av

from asl_extract.decoders.display_times import PacketTimes, Seconds, constant_rate
from asl_kit.errors import MissingFileError, VideoError

_SLACK_S = 1.0
CLOCK_MAY_JUMP = 0x0200  # AVFMT_TS_DISCONT: MPEG-TS and its like


@dataclass(frozen=True)
class VideoProbe:
    """Facts that the container and its packets state.

    Parameters
    ----------
    frame_count : int
        Displayed frames: packets, except those that an edit list removes or the codec does not display.
    fps : float
        Frames per second; the average where the rate varies.
    codec : str
        FFmpeg's name for the codec.
    stream_index : int
        Index of the video stream: the one that FFmpeg considers best, except cover pictures.
    films : int
        Number of video streams in the file, without cover pictures.
    display_s : (frame_count + 1,) array, optional
        Times at which each frame appears and the last one ends, in seconds from the first; None if the frame rate
        is constant: see `constant_rate`.
    """

    frame_count: int
    fps: float
    codec: str
    stream_index: int
    films: int
    display_s: Seconds | None = None


@dataclass(frozen=True)
class VideoHeader:
    """Facts in the header of a video file. They may differ from those of its frames: see `probe`.

    Parameters
    ----------
    duration_s : float
        Length in seconds.
    fps : float
        Frames per second; the average where the rate varies.
    """

    duration_s: float
    fps: float


def read_header(path: Path) -> VideoHeader:
    """Read the header of a video file, which is fast for any length. Damage after the header is not detected.

    A file whose header does not state its length or frame rate is read to its end.

    Raises
    ------
    MissingFileError
        If there is no such file.
    VideoError
        If the file is empty, is not a video or has no video stream.
    """
    _check_file(path)
    try:
        with av.open(location(path), metadata_errors="ignore") as container:
            stream = video_stream(container, path)
            fps = float(stream.average_rate or 0)
            duration_s = float((stream.duration or 0) * (stream.time_base or 0))
            duration_s = duration_s or (container.duration or 0) / av.time_base
    except av.error.FFmpegError as fault:
        raise VideoError(f"{path}: not a video that can be read: {fault.strerror}") from fault
    if not all(math.isfinite(value) and value > 0 for value in (fps, duration_s)):
        probed = probe(path)
        fps = probed.fps
        duration_s = probed.frame_count / fps if probed.display_s is None else float(probed.display_s[-1])
    return VideoHeader(duration_s, fps)


def probe(path: Path) -> VideoProbe:
    """Read the index of a video file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    VideoError
        If the file is empty, is not a video, has no video stream, or is truncated.
    """
    _check_file(path)
    try:
        with av.open(location(path), metadata_errors="ignore") as container:
            stream = video_stream(container, path)
            stated_fps = float(stream.average_rate or 0)
            if not (math.isfinite(stated_fps) and stated_fps > 0):
                stated_fps = 0.0
            stream_index = stream.index
            films = len(_films(container))
            tick_s = float(stream.time_base or 0)
            codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
            promised = int(stream.frames)
            if not promised and "matroska" in container.format.name and container.duration:
                whole_s = container.duration / av.time_base
            else:
                whole_s = 0.0
            packets = shown = 0
            end_s = 0.0
            times = PacketTimes(may_jump=bool(container.format.flags & CLOCK_MAY_JUMP))
            for packet in container.demux():
                if packet.size == 0:  # the flush at the end
                    continue
                if packet.pts is not None:
                    end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index == stream_index:
                    packets += 1
                    if not (packet.is_discard or (codec == "vp8" and _vp8_hidden(packet))):
                        shown += 1
                        times.add(pts=packet.pts, dts=packet.dts, duration=packet.duration)
    except av.error.FFmpegError as fault:
        raise VideoError(f"{path}: not a video that can be read: {fault.strerror}") from fault
    if shown == 0:
        raise VideoError(f"{path}: 0 frames found" + (f", {promised} expected" if promised else ""))
    if packets < promised and (stored := _stored_packets(path, stream_index)) < promised:
        raise truncated(path, found=stored, expected=promised)
    if end_s < whole_s - _SLACK_S:  # Matroska states its duration, but no number of frames
        raise truncated(path, found=shown, expected=round(whole_s * shown / end_s) if end_s else shown + 1)
    display_s = times.display_s(tick_s=tick_s, stated_fps=stated_fps)
    fps: float | None = stated_fps
    if display_s is not None:
        fps = constant_rate(display_s, tick_s=tick_s, stated_fps=stated_fps)
        if fps is not None:
            display_s = None
        elif display_s[-1] > 0:
            fps = shown / float(display_s[-1])
    if not fps:
        raise VideoError(f"{path}: the file states no frame rate")
    return VideoProbe(
        frame_count=shown, fps=fps, codec=codec, stream_index=stream_index, films=films, display_s=display_s
    )


def location(path: Path) -> str:
    """Return the absolute path: FFmpeg would take ``take:1.mp4`` for a protocol and ``-v.mp4`` for an option."""
    return str(path.absolute())


def _check_file(path: Path) -> None:
    """Raise unless the path is a regular file that is not empty: a decoder might wait for it, or call it damaged."""
    try:
        facts = path.stat()
    except FileNotFoundError as fault:
        target = f": the link points to {path.readlink()}, which does not exist" if path.is_symlink() else ""
        raise MissingFileError(f"{path}: no such file{target}") from fault
    except OSError as fault:
        raise VideoError(f"{path}: cannot be read: {fault.strerror}") from fault
    if stat.S_ISDIR(facts.st_mode):
        raise VideoError(f"{path}: a folder, not a video file")
    if not stat.S_ISREG(facts.st_mode):
        raise VideoError(f"{path}: a pipe, socket or device, not a video file")
    if facts.st_size == 0:
        raise VideoError(f"{path}: the file is empty")


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """Return the stream to decode: the one that FFmpeg considers best, except cover pictures.

    Raises
    ------
    VideoError
        If there is no such stream.
    """
    films = _films(container)
    if not films:
        cover = ", only a cover picture" if container.streams.video else ""
        raise VideoError(f"{path}: no video stream in the file{cover}")
    best = container.streams.best("video")
    return best if isinstance(best, av.VideoStream) and best in films else films[0]


def _films(container: av.container.InputContainer) -> list[av.VideoStream]:
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & cover]


def _vp8_hidden(packet: av.Packet) -> bool:
    """Return whether a VP8 packet holds a reference frame that is not displayed (RFC 6386, 9.1: show_frame)."""
    return not memoryview(packet)[0] & 0x10


def _stored_packets(path: Path, stream_index: int) -> int:
    """Return the number of packets in the file, including those that an edit list of MP4 hides."""
    with av.open(location(path), metadata_errors="ignore", options={"ignore_editlist": "1"}) as container:
        return sum(packet.size > 0 for packet in container.demux(container.streams[stream_index]))


def truncated(path: Path, *, found: int, expected: int) -> VideoError:
    """Return the error for a video with fewer frames than its index states."""
    return VideoError(
        f"{path}: {found} frames found, {expected} expected: the file is truncated or damaged",
        hint="copy or download the video again, or re-encode the rest: ffmpeg -i IN -c:v libx264 OUT.mp4",
    )


def stopped(path: Path, *, decoder: str, found: int, expected: int) -> VideoError:
    """Return the error for a decoder that stopped early; it is the file's, unless FFmpeg decodes all frames.

    Where a decoder stops in a damaged file may depend on its threads, so the frames are counted here.
    """
    decodable = count_decodable(path, at_most=expected)
    if decodable < expected:
        return truncated(path, found=decodable, expected=expected)
    return VideoError(f"{path}: {decoder} stopped after {found} of {expected} frames", hint="use --decoder pyav")


def count_decodable(path: Path, *, at_most: int) -> int:
    """Return the number of frames that FFmpeg decodes before the first error."""
    count = 0
    try:
        with av.open(location(path), metadata_errors="ignore") as container:
            for _ in container.decode(video_stream(container, path)):
                count += 1
                if count >= at_most:
                    break
    except av.error.FFmpegError:
        pass
    return count
