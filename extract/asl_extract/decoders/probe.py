"""What a video file says about itself: its index is read, nothing is decoded.

Every decoder asks here first, so that a file that is no video, or a cut-off
one, gets the same message whatever decoder is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import av

from asl_kit.errors import MissingFileError, VideoError

_SLACK_S = 1.0


@dataclass(frozen=True)
class VideoProbe:
    """What the container and its packets say.

    Parameters
    ----------
    frame_count : int
        Frames to be shown: packets, less those that an edit list cuts away.
    fps : float
        Average frames per second.
    codec : str
        FFmpeg's name of the codec.
    """

    frame_count: int
    fps: float
    codec: str


def probe(path: Path) -> VideoProbe:
    """Read the index of a video file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    VideoError
        If the file is empty, is no video, has no video stream, or ends before its last frame.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty")
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.video:
                raise VideoError(f"{path}: no video stream in the file")
            stream = container.streams.video[0]
            fps = float(stream.average_rate or 0)
            codec = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
            promised = int(stream.frames)
            if not promised and "matroska" in container.format.name and container.duration:
                whole_s = container.duration / av.time_base
            else:
                whole_s = 0.0
            packets = shown = 0
            end_s = 0.0
            for packet in container.demux():
                if packet.size == 0:  # the flush at the end
                    continue
                if packet.pts is not None:
                    end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream_index == stream.index:
                    packets += 1
                    shown += not packet.is_discard
    except av.error.FFmpegError as fault:
        raise VideoError(f"{path}: not a video that can be read: {fault.strerror}") from fault
    if shown == 0:
        raise VideoError(f"{path}: 0 frames found" + (f", {promised} expected" if promised else ""))
    if packets < promised and (stored := _stored_packets(path)) < promised:
        raise truncated(path, found=stored, expected=promised)
    if end_s < whole_s - _SLACK_S:  # Matroska counts no frames, but says how long it is
        raise truncated(path, found=shown, expected=round(whole_s * fps))
    if not (math.isfinite(fps) and fps > 0):
        raise VideoError(f"{path}: the file states no frame rate")
    return VideoProbe(frame_count=shown, fps=fps, codec=codec)


def _stored_packets(path: Path) -> int:
    """Return how many packets the file holds, with those that an MP4's edit list hides."""
    with av.open(str(path), metadata_errors="ignore", options={"ignore_editlist": "1"}) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))


def truncated(path: Path, *, found: int, expected: int) -> VideoError:
    """Return the error for a video that holds, or decodes to, fewer frames than it should."""
    return VideoError(
        f"{path}: {found} frames found, {expected} expected: the file is cut off or damaged",
        hint="copy or download the video again, or re-encode what is left: ffmpeg -i IN -c:v libx264 OUT.mp4",
    )


def stopped(path: Path, *, decoder: str, found: int, expected: int) -> VideoError:
    """Return the error for a decoder that stopped early: the file's fault, unless FFmpeg decodes all of it.

    How far a decoder comes in a damaged file may depend on its threads; so the frames are counted here.
    """
    decodable = count_decodable(path, at_most=expected)
    if decodable < expected:
        return truncated(path, found=decodable, expected=expected)
    return VideoError(f"{path}: {decoder} stopped after {found} of {expected} frames", hint="use --decoder pyav")


def count_decodable(path: Path, *, at_most: int) -> int:
    """Return how many frames FFmpeg decodes before the first fault."""
    count = 0
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            for _ in container.decode(video=0):
                count += 1
                if count >= at_most:
                    break
    except av.error.FFmpegError:
        pass
    return count
