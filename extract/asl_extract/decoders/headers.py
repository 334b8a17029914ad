"""The headers of many video files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from asl_extract.decoders.probe import VideoHeader, read_header
from asl_kit.base.child_process import ReaderProcess
from asl_kit.base.console import progress_bar
from asl_kit.errors import AslKitError


def read_headers(paths: Mapping[str, Path]) -> tuple[dict[str, VideoHeader], dict[str, str]]:
    """Read the headers of video files in a process of its own, which a damaged file may crash.

    Parameters
    ----------
    paths : mapping of str to Path
        Files by video id.

    Returns
    -------
    headers : dict of str to VideoHeader
        Headers of the files that can be read.
    unreadable : dict of str to str
        Reasons why the others cannot be read.
    """
    headers, unreadable = {}, {}
    with progress_bar("reading headers", len(paths)) as bar, ReaderProcess() as reader:
        for video_id, path in paths.items():
            try:
                headers[video_id] = reader.run(read_header, path)
            except AslKitError as fault:
                unreadable[video_id] = fault.message
            bar.advance()
    return headers, unreadable
