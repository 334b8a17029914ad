"""What becomes of a video before it is decoded: extracted, skipped or refused."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from asl_extract.executors.results import VideoResult, refuse_changed
from asl_extract.remote.cache import NOT_FETCHED, VideoCache
from asl_extract.remote.ready import ReadyVideo, make_ready
from asl_extract.settings import RunOptions
from asl_extract.videos import Video
from asl_kit.base.image_names import FLOW_FOLDERS, scan_images
from asl_kit.errors import AslKitError
from asl_kit.remote.access import read_facts
from asl_kit.remote.address import Address
from asl_kit.store import FeatureStore
from asl_kit.store.identity import FileIdentity, SourceCheck
from asl_kit.store.ledger import Attempt


@dataclass(frozen=True)
class Accepted:
    """A video to extract.

    Parameters
    ----------
    ready : ReadyVideo
        The video, with what is decoded or why it cannot be.
    identity : FileIdentity, optional
        The file before it is decoded: if it is still being written, a later run finds that it has changed.
    is_changed : bool
        Whether the store holds features of another file under this id.
    """

    ready: ReadyVideo
    identity: FileIdentity | None
    is_changed: bool


class Intake:
    """Decides on each video; for those at addresses by a thread, which also fetches what is accepted.

    Parameters
    ----------
    store : FeatureStore
        The store.
    options : RunOptions
        Whether failed and changed videos are extracted again.
    cache : VideoCache
        Where videos at addresses are kept.
    """

    def __init__(self, store: FeatureStore, options: RunOptions, cache: VideoCache) -> None:
        self._store = store
        self._options = options
        self._cache = cache
        self._failed = {} if options.retry_failed else store.ledger.failed_attempts()

    def decide(self, video: Video) -> Accepted | VideoResult:
        """Return a video that is to be extracted, or the result of one that is not.

        Raises
        ------
        VideoError
            If the file of a stored video has changed, and a failure stops the run.
        """
        before = self._failed.get(video.video_id)
        is_changed = False
        if video.video_id in self._store:
            check = self._check(video)
            is_changed = check.state == "changed"
            if not is_changed:
                return VideoResult(video.video_id, "skipped", check.reason)
            if not self._options.replace_changed:
                return refuse_changed(video.video_id, check.reason, on_error=self._options.on_error)
        elif before is not None and not _has_changed_since(video.path, before):
            return VideoResult(video.video_id, "failed_before", before.reason)
        ready = make_ready(video, self._cache)
        return Accepted(ready, None if isinstance(ready.source, AslKitError) else _identity_of(ready), is_changed)

    def _check(self, video: Video) -> SourceCheck:
        """Compare a stored video with its file, or with its images and their frame rate."""
        check = self._store.check_source(video.video_id, partial(FileIdentity.of, video.path))
        if check.state != "same" or video.image_fps is None:
            return check
        fps = self._store.info(video.video_id).fps
        if video.image_fps == fps:
            return check
        reason = f"the stored features were made at {fps:g} images per second, not {video.image_fps:g}"
        return SourceCheck("changed", f"{video.path}: {reason}")


def _identity_of(ready: ReadyVideo) -> FileIdentity | None:
    """Return a file's identity; None if it cannot be read, which the decoder then reports."""
    try:
        return FileIdentity.of(ready.video.path) if ready.copy is None else ready.copy.identity()
    except OSError:
        return None


def _has_changed_since(path: Path | Address, attempt: Attempt) -> bool:
    """Whether a file, or one in a folder of images, was replaced or repaired after an attempt at it.

    A video that could not be fetched may be there now.
    """
    if NOT_FETCHED in attempt.reason:
        return True
    try:
        if isinstance(path, Address):
            times_s = [read_facts(path).modified_s]
        else:
            folders = [path, *(folder for name in FLOW_FOLDERS if (folder := path / name).is_dir())]
            times_s = [_changed_s(folder.stat()) for folder in folders]
            if path.is_dir():
                times_s += [_changed_s(entry.stat()) for _, entry in scan_images(path)]
    except OSError:
        return False
    return max(times_s) > datetime.fromisoformat(attempt.time).timestamp()


def _changed_s(found: os.stat_result) -> float:
    return max(found.st_mtime, found.st_ctime)
