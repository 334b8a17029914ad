"""Videos that can be decoded: local ones, and copies of those at addresses."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from asl_extract.decoders import VideoSource
from asl_extract.remote.ahead import prepare_ahead
from asl_extract.remote.cache import LocalCopy, VideoCache
from asl_extract.videos import RemoteVideo, Video
from asl_kit.errors import AslKitError, VideoError

Result = TypeVar("Result")


@dataclass(frozen=True)
class ReadyVideo:
    """A video with what a decoder opens.

    Parameters
    ----------
    video : Video
        The video.
    source : VideoSource or AslKitError
        What is decoded, or why it cannot be.
    copy : LocalCopy, optional
        The copy of a video at an address; to be released after use.
    """

    video: Video
    source: VideoSource | AslKitError
    copy: LocalCopy | None = None

    def named(self, result: Result | AslKitError) -> Result | AslKitError:
        """Return an error that names the video's address, not the copy that was decoded; anything else as it is."""
        return self.copy.named(result) if self.copy is not None and isinstance(result, AslKitError) else result


def make_ready(video: Video, cache: VideoCache) -> ReadyVideo:
    """Return a video that can be decoded, or with why it cannot; one at an address is fetched."""
    if video.id_fault is not None:
        return ReadyVideo(video, video.id_fault)
    if not isinstance(video, RemoteVideo):
        return ReadyVideo(video, video.source)
    try:
        copy = cache.fetch(video)
    except VideoError as fault:
        return ReadyVideo(video, fault)
    return ReadyVideo(video, copy.source, copy)


def is_remote(video: Video) -> bool:
    """Return whether a video is at an address."""
    return isinstance(video, RemoteVideo)


def fetch_ahead(videos: Iterable[Video], cache: VideoCache) -> Generator[ReadyVideo | None, None, None]:
    """Yield videos that can be decoded; None as long as the next is being fetched."""
    return prepare_ahead(videos, lambda video: make_ready(video, cache), is_slow=is_remote)
