"""Video files as FFmpeg's containers: opened in one way, one stream chosen, and frames decoded in one way."""

from __future__ import annotations

import stat
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import av

from asl_extract.decoders.file_ends import ends_early
from asl_kit.errors import MissingFileError, VideoError

CLOCK_MAY_JUMP = 0x0200  # AVFMT_TS_DISCONT: MPEG-TS and its like

_LISTS = {"concat", "dash", "hls", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp", "vobsub", "webm_dash_manifest"}
"""FFmpeg's formats whose files are texts that name other files, addresses or filters."""

AGAIN = "copy or download the video again, or re-encode the rest: ffmpeg -i IN -c:v libx264 OUT.mp4"

_ENCRYPTED_TAGS = {"drmi", "encv"}
_SEARCHED = 2**20
_EBML = b"\x1a\x45\xdf\xa3"
_ENCRYPTED_BOX = b"encv"  # ISO/IEC 14496-12, 8.12
_ENCRYPTED_TRACK = b"\x47\xe1\x81\x05"  # ContentEncAlgo: AES (RFC 9559, 5.1.4.1.31.8)
_WEBP_HEAD = 64
_log_lock = threading.Lock()
_SEGMENT_BOXES = {b"moof", b"sidx", b"styp"}  # ISO/IEC 14496-12, 8.16: a segment begins with them


def location(path: Path) -> str:
    """Return the absolute path: FFmpeg would take ``take:1.mp4`` for a protocol and ``-v.mp4`` for an option."""
    return str(path.absolute())


def open_container(path: Path, **options: str) -> av.container.InputContainer:
    """Open a video file, and no other file that it may name.

    Parameters
    ----------
    path : Path
        The video file.
    **options : str
        Options of FFmpeg's demultiplexer.

    Raises
    ------
    MissingFileError
        If there is no such file.
    VideoError
        If the file is empty, or not a video.
    """
    _check_file(path)
    own = {"protocol_whitelist": "file", "format_whitelist": _containers()}
    try:
        return av.open(location(path), metadata_errors="ignore", options=own | options)
    except av.error.FFmpegError as fault:
        if isinstance(fault, av.error.ArgumentError):  # not in the whitelist
            raise VideoError(
                f"{path}: a list of other files or addresses, which are not opened", hint="name the video files"
            ) from fault
        raise unreadable(path, fault) from fault


@contextmanager
def logged_errors() -> Iterator[list[tuple[int, str, str]]]:
    """Collect the errors that FFmpeg reports in this thread: level, format or codec, text.

    This is for reading packets. Threads that decode must not log: they would wait for Python's lock, which the one
    who closes their file may hold.
    """
    with _log_lock:
        av.logging.set_skip_repeated(False)  # else errors are reported with the next file
        av.logging.set_level(av.logging.ERROR)
        try:
            with av.logging.Capture() as errors:
                yield errors
        finally:
            av.logging.set_level(None)


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """Return the stream to decode: the one that FFmpeg considers best, except cover pictures and alpha planes.

    Raises
    ------
    VideoError
        If there is no such stream, or it cannot be decoded.
    """
    found = films(container)
    if not found:
        cover = ", only a cover picture" if container.streams.video else ""
        raise VideoError(f"{path}: no video stream in the file{cover}")
    best = container.streams.best("video")
    chosen = best if isinstance(best, av.VideoStream) and best in found else found[0]
    if chosen.codec_context is None:
        raise VideoError(
            f"{path}: its video has a codec that FFmpeg does not know, or that this FFmpeg lacks",
            hint="convert it with the program that made it",
        )
    if chosen.codec_context.codec_tag in _ENCRYPTED_TAGS:
        raise VideoError(f"{path}: the video is encrypted")
    return chosen


def films(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Return the video streams, except cover pictures and alpha planes; stills only if nothing moves.

    An AVIF file has its picture and its alpha plane as streams, and an animated one has a still of both beside.
    """
    found = container.streams.video
    for is_less in (_is_cover, _is_alpha, _is_still):
        found = tuple(stream for stream in found if not is_less(stream)) or (() if is_less is _is_cover else found)
    return list(found)


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _is_alpha(stream: av.VideoStream) -> bool:
    context = stream.codec_context
    return bool(context and context.pix_fmt and context.pix_fmt.startswith("gray"))


def _is_still(stream: av.VideoStream) -> bool:
    return bool(stream.frames == 1)


def all_frames(container: av.container.InputContainer, stream: av.VideoStream) -> Generator[av.VideoFrame, None, None]:
    """Yield the frames that FFmpeg decodes, damaged ones too, in the order of display.

    Raises
    ------
    av.error.FFmpegError
        If a packet cannot be decoded.
    """
    for packet in container.demux(stream):
        if packet.size or packet.dts is None:  # the others are empty: the frame before stays; the last flushes
            yield from packet.decode()


def decoded_frames(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path
) -> Generator[av.VideoFrame, None, None]:
    """Yield the frames that FFmpeg decodes, in the order of display.

    Raises
    ------
    av.error.FFmpegError
        If a packet cannot be decoded.
    VideoError
        If a frame is damaged, and was made up from others.
    """
    for number, frame in enumerate(all_frames(container, stream)):
        if frame.is_corrupt:
            raise damaged(path, frame=number)
        yield frame


def damaged(path: Path, *, frame: int) -> VideoError:
    """Return the error for a video with a damaged frame."""
    return VideoError(
        f"{path}: frame {frame} is damaged and concealed from nearby frames",
        hint="copy or download the video again, or accept such frames: ffmpeg -i IN -c:v libx264 OUT.mp4",
    )


@cache
def _containers() -> str:
    return ",".join(sorted(av.formats_available - _LISTS))


def undecodable(path: Path) -> str:
    """Return why FFmpeg cannot decode a file that is intact, as far as its start and end say; empty: not known."""
    with path.open("rb") as file:
        head = file.read(_SEARCHED)
        file.seek(-min(_SEARCHED, path.stat().st_size), 2)
        tail = file.read() if head[4:8] == b"ftyp" else b""
    if _ENCRYPTED_BOX in tail or (tail and _ENCRYPTED_BOX in head):
        return "the video is encrypted"
    if head.startswith(_EBML) and _ENCRYPTED_TRACK in head:
        return "the video is encrypted"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP" and b"ANIM" in head[:_WEBP_HEAD]:
        return "an animated WebP, which FFmpeg cannot read"
    if head[4:8] in _SEGMENT_BOXES and b"moov" not in head:
        return "a segment of a stream, whose header is in another file"
    return ""


def unreadable(path: Path, fault: av.error.FFmpegError) -> VideoError:
    """Return the error for a file that FFmpeg cannot read, with the reason that the file itself gives, if any."""
    if not isinstance(fault, PermissionError):
        if reason := undecodable(path):
            return VideoError(f"{path}: {reason}")
        if ends_early(path):
            return cut_off(path, within="one of its parts")
    return VideoError(f"{path}: not a video that can be read: {fault.strerror}")


def cut_off(path: Path, *, within: str) -> VideoError:
    """Return the error for a file that ends within a part of it."""
    return VideoError(f"{path}: the file ends within {within}: it is truncated", hint=AGAIN)


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
