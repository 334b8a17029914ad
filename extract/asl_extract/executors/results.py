"""Results of single videos: features stored, or a failure recorded in the store's ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from asl_extract.extractor import ExtractedVideo
from asl_kit.errors import AslKitError, FeatureError, MissingFileError, VideoError
from asl_kit.store import FeatureStore, SourceVideo
from asl_kit.store.identity import FileIdentity


@dataclass(frozen=True)
class VideoResult:
    """How the extraction of one video ended.

    Parameters
    ----------
    video_id : str
        The video.
    status : {'done', 'skipped', 'failed', 'failed_before'}
        Added to the store; already in the store; failed now; failed in an earlier run and not retried.
    reason : str
        Why it failed; for a skipped video, why it was not compared with its file, if it was not.
    message : str
        What the user should read at once; empty: nothing.
    features : int
        Features written.
    frames_decoded, frames_in_files : int
        Frames that came out of the decoder since the last result, and that the opened files hold.
    is_changed : bool
        Whether the store held features of another file under this id; they were replaced if the video is done.
    device_s, device_waited_s : float
        Time of a GPU since the last result, and how much of it the GPU waited for decoded frames; 0 on a CPU.
    """

    video_id: str
    status: Literal["done", "skipped", "failed", "failed_before"]
    reason: str = ""
    message: str = ""
    features: int = 0
    frames_decoded: int = 0
    frames_in_files: int = 0
    is_changed: bool = False
    device_s: float = 0.0
    device_waited_s: float = 0.0


def store_video(
    store: FeatureStore,
    video_id: str,
    extracted: ExtractedVideo | AslKitError,
    *,
    source: FileIdentity | None,
    is_changed: bool,
    seconds: float,
    on_error: str,
) -> VideoResult:
    """Write a video's features to the store, or record its error in the ledger.

    Parameters
    ----------
    store : FeatureStore
        The store.
    video_id : str
        The video.
    extracted : ExtractedVideo or AslKitError
        Its features, or why it failed.
    source : FileIdentity, optional
        The file that was decoded; None: it cannot be read.
    is_changed : bool
        Whether the store holds features of another file under this id, which are to be replaced.
    seconds : float
        How long the video took.
    on_error : {'skip', 'stop'}
        Whether a video that fails raises its error.

    Raises
    ------
    AslKitError
        If the store cannot be written, or the video failed and `on_error` is ``stop``.
    """
    try:
        if isinstance(extracted, AslKitError):
            raise extracted
        fields = (video_id, extracted.grid, extracted.duration_s, extracted.fps, extracted.frames)
        video = SourceVideo(*fields, source=source, image_decoder=extracted.decoder or None)
        is_stored = store.write(video, extracted.features, seconds=seconds, note=extracted.note, replace=is_changed)
    except (VideoError, FeatureError, MissingFileError) as fault:
        failed = fail_video(store, video_id, fault.message, hint=fault.hint, seconds=seconds)
        if on_error == "stop":
            raise
        return replace(failed, is_changed=is_changed)
    if not is_stored:  # another process was faster
        return VideoResult(video_id, "skipped")
    message = f"{video_id}: {extracted.note}" if extracted.note else ""
    return VideoResult(video_id, "done", message=message, features=len(extracted.features), is_changed=is_changed)


def refuse_changed(video_id: str, reason: str, *, on_error: str) -> VideoResult:
    """Return the result of a video whose file has changed since it was stored; the store is not changed.

    Raises
    ------
    VideoError
        If `on_error` is ``stop``.
    """
    fault = VideoError(reason, hint="--replace-changed extracts it again; if it is another video, rename the file")
    if on_error == "stop":
        raise fault
    return VideoResult(video_id, "failed", reason, f"failed: {reason} ({fault.hint})", is_changed=True)


def fail_video(
    store: FeatureStore, video_id: str, reason: str, *, hint: str | None = None, seconds: float = 0.0
) -> VideoResult:
    """Record in the ledger that a video failed, and return its result."""
    store.ledger.record(video_id, "failed", reason, seconds=seconds)
    return VideoResult(video_id, "failed", reason, f"failed: {reason}" + (f" ({hint})" if hint else ""))
