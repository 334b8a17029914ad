"""The id of a video: the name of its file without the suffix, from a path or a URL."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

VIDEO_SUFFIXES = (
    ".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v",
    ".m4v", ".mjpg", ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv",
    ".qt", ".rm", ".rmvb", ".tod", ".trp", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".xvid", ".y4m",
)  # fmt: skip


def split_name(name: str) -> tuple[str, str | None]:
    """Return the id of a video, and its path if `name` is that of a video file.

    Ids may contain dots: only the suffixes of video files are removed.

    Examples
    --------
    >>> split_name("kitchen/a.MP4"), split_name("take 1.2")
    (('a', 'kitchen/a.MP4'), ('take 1.2', None))
    """
    path = PurePosixPath(name.replace("\\", "/"))
    return (path.stem, str(path)) if path.suffix.lower() in VIDEO_SUFFIXES else (name, None)


def id_from(location: str) -> str:
    """Return the id of the video that a path or URL names, whatever its suffix; an empty text if it names none.

    Examples
    --------
    >>> id_from("file:///C:/My%20videos/a.mp4"), id_from("D:/x/b.long.avi"), id_from("https://x.org/")
    ('a', 'b.long', '')
    """
    return PurePosixPath(file_name(location)).stem


def file_name(location: str) -> str:
    """Return the name of the file in a path or URL, or an empty text if there is none.

    Examples
    --------
    >>> file_name("file:///C:/My%20videos/a.mp4"), file_name("D:/x/b.avi"), file_name("https://x.org/c.mp4?t=1")
    ('a.mp4', 'b.avi', 'c.mp4')
    """
    path = location.replace("\\", "/")
    if path.startswith("file:"):
        path = unquote(path)  # a "?" or "#" in it is part of the name
    elif "://" in path:
        try:
            path = unquote(urlsplit(path).path)
        except ValueError:  # not a URL, such as http://[
            return ""
    return PurePosixPath(path).name
