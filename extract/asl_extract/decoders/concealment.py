"""Pictures that FFmpeg made up: where a packet is damaged it fills the gap from frames nearby, and goes on.

A decoder built on FFmpeg hands such frames out as good ones. FFmpeg does tell, frame by frame
(``decode_error_flags``, which PyAV shows) and in its log (which any program may listen to). Decoders
that hide the flags are listened to; what the log makes suspect is decoded again with PyAV, whose flags decide.

Damage that still decodes to some picture is not seen, by FFmpeg or here: the arithmetic coding of VP8,
VP9, AV1 and HEVC gives a wrong picture for almost any bytes, and its formats carry no checksum.
"""

from __future__ import annotations

import atexit
import ctypes
from collections.abc import Generator
from pathlib import Path

import av

from asl_extract.decoders.probe import location, video_stream
from asl_kit.errors import VideoError

FRAMES_PER_SIGN = 16
"""A video that is decoded again gives a sign of life so often: as often as one that is decoded."""

_ERROR = 16  # AV_LOG_ERROR
_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class FFmpegLog:
    """Counts the decoding errors that a copy of FFmpeg logs, over all files that are read with it in this process.

    Parameters
    ----------
    library : Path
        A shared library that is linked with that copy, already loaded.

    Attributes
    ----------
    errors : int
        Errors and concealed pictures so far.
    audible : bool
        Whether the copy could be listened to. Windows does not show a library's own dependencies.
    """

    def __init__(self, library: Path) -> None:
        self.errors = 0
        self._callback = _Callback(self._listen)  # kept, for FFmpeg holds its address only
        try:
            loaded = ctypes.CDLL(str(library))
            loaded.av_log_set_callback(self._callback)
        except (OSError, AttributeError):
            self.audible = False
            return
        self.audible = True
        # Decoding threads may outlive the interpreter, which must not be called then.
        atexit.register(loaded.av_log_set_callback, None)

    def _listen(self, _context: int, level: int, message: bytes | None, _arguments: int) -> None:
        if level <= _ERROR or (message or b"").startswith(b"concealing"):
            self.errors += 1


class Suspicion:
    """Whether the frames of one video, read since this was made, may have been made up.

    Parameters
    ----------
    path : Path
        The video.
    log : FFmpegLog
        Of the FFmpeg that reads it.
    """

    def __init__(self, path: Path, log: FFmpegLog) -> None:
        self._path = path
        self._log = log
        self._errors = log.errors
        self._cleared = False

    def check(self) -> Generator[None, None, None]:
        """Raise if the log makes the video suspect and PyAV finds it damaged.

        Decoding a long video again takes minutes: this yields again and again while it goes on.

        Raises
        ------
        VideoError
            If frames are damaged.
        """
        if self._cleared or (self._log.audible and self._log.errors == self._errors):
            return
        frame = yield from first_damaged_frame(self._path)
        if frame is not None:
            raise damaged(self._path, frame=frame)
        self._cleared = True  # PyAV has seen the whole file


def first_damaged_frame(path: Path) -> Generator[None, None, int | None]:
    """Return the number of the first frame that FFmpeg could not decode faithfully; None: there is none.

    Yields every `FRAMES_PER_SIGN` frames.
    """
    number = 0
    try:
        with av.open(location(path), metadata_errors="ignore") as container:
            stream = video_stream(container, path)
            stream.thread_count = 1  # with slice threads, PyAV's default, FFmpeg loses the flags
            for number, frame in enumerate(container.decode(stream)):
                if frame.is_corrupt:
                    return number
                if number % FRAMES_PER_SIGN == 0:
                    yield
    except av.error.FFmpegError:
        return number + 1
    return None


def damaged(path: Path, *, frame: int) -> VideoError:
    """Return the error for a video with a frame that is not as it was recorded."""
    return VideoError(
        f"{path}: frame {frame} is damaged, its picture is made up from its neighbours",
        hint="copy or download the video again, or accept such frames: ffmpeg -i IN -c:v libx264 OUT.mp4",
    )
