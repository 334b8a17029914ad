"""Detects error concealment: FFmpeg fills the pictures of damaged packets from nearby frames.

Decoders built on FFmpeg return such frames like intact ones. FFmpeg reports concealment in the flags of each
frame (``decode_error_flags``, which PyAV exposes) and in its log, to which any program can add a callback. For
decoders that hide the flags, the log is read; if it reports an error, the video is decoded again with PyAV, whose
flags decide.

Damage that decodes without an error is not detected, by FFmpeg or here: the arithmetic coding of VP8,
VP9, AV1 and HEVC decodes almost any bytes to a wrong picture, and these formats have no checksums.
"""

from __future__ import annotations

import atexit
import ctypes
from collections.abc import Generator
from pathlib import Path

import av

from asl_extract.decoders.containers import all_frames, damaged, open_container, video_stream

FRAMES_PER_YIELD = 16
"""While a video is decoded again, progress is reported after this many frames, as in normal decoding."""

_ERROR = 16  # AV_LOG_ERROR
_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class FFmpegLog:
    """Counts the decoding errors that a copy of FFmpeg logs for all files in this process.

    Parameters
    ----------
    library : Path
        A loaded shared library that is linked with that copy.

    Attributes
    ----------
    errors : int
        Number of errors and concealed frames so far.
    readable : bool
        Whether the log can be read. Windows does not expose the dependencies of a library.
    """

    def __init__(self, library: Path) -> None:
        self.errors = 0
        self._callback = _Callback(self._listen)  # kept, because FFmpeg stores only its address
        try:
            loaded = ctypes.CDLL(str(library))
            loaded.av_log_set_callback(self._callback)
        except (OSError, AttributeError):
            self.readable = False
            return
        self.readable = True
        # Decoding threads may outlive the interpreter and must not call it then.
        atexit.register(loaded.av_log_set_callback, None)

    def _listen(self, _context: int, level: int, message: bytes | None, _arguments: int) -> None:
        if level <= _ERROR or (message or b"").startswith(b"concealing"):
            self.errors += 1


class DamageCheck:
    """Checks the frames of one video that are read after this object is created.

    Parameters
    ----------
    path : Path
        The video file.
    log : FFmpegLog
        The log of the FFmpeg that reads it.
    """

    def __init__(self, path: Path, log: FFmpegLog) -> None:
        self._path = path
        self._log = log
        self._errors = log.errors
        self._cleared = False

    def check(self) -> Generator[None, None, None]:
        """Raise if the log reports an error and PyAV finds the video damaged.

        Decoding a long video again takes minutes, so this yields repeatedly meanwhile.

        Raises
        ------
        VideoError
            If frames are damaged.
        """
        if self._cleared or (self._log.readable and self._log.errors == self._errors):
            return
        frame = yield from first_damaged_frame(self._path)
        if frame is not None:
            raise damaged(self._path, frame=frame)
        self._cleared = True  # PyAV has checked the whole file


def first_damaged_frame(path: Path) -> Generator[None, None, int | None]:
    """Return the number of the first frame that FFmpeg cannot decode correctly, or None.

    Yields every `FRAMES_PER_YIELD` frames.
    """
    number = -1
    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            stream.thread_count = 1  # with slice threads, PyAV's default, FFmpeg loses the flags
            for number, frame in enumerate(all_frames(container, stream)):
                if frame.is_corrupt:
                    return number
                if number % FRAMES_PER_YIELD == 0:
                    yield
    except av.error.FFmpegError:
        return number + 1
    return None
