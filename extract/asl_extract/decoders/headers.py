"""The headers of many videos."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from asl_extract.decoders import VideoSource
from asl_extract.decoders.image_files import ImageSequence, open_images
from asl_extract.decoders.probe import VideoHeader, read_header
from asl_kit.base.child_process import ReaderProcess
from asl_kit.base.console import progress_bar
from asl_kit.errors import AslKitError


def read_headers(videos: Mapping[str, VideoSource]) -> tuple[dict[str, VideoHeader], dict[str, str]]:
    """Read the headers of video files in a process of its own, which a damaged file may crash; list images.

    Parameters
    ----------
    videos : mapping of str to VideoSource
        Files and images by video id.

    Returns
    -------
    headers : dict of str to VideoHeader
        Headers of the files that can be read.
    unreadable : dict of str to str
        Reasons why the others cannot be read.
    """
    headers, unreadable = {}, {}
    with progress_bar("reading headers", len(videos)) as bar, ReaderProcess() as reader:
        for video_id, source in videos.items():
            try:
                headers[video_id] = reader.run(_read, source)
            except AslKitError as fault:
                unreadable[video_id] = fault.message
            bar.advance()
    return headers, unreadable


def _read(source: VideoSource) -> VideoHeader:
    if not isinstance(source, ImageSequence):
        return read_header(source)
    with closing(open_images(source.path)) as images:  # none is read
        return VideoHeader(images.frame_count / source.fps, source.fps)
