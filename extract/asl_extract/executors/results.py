"""Results of single videos: features stored, or a failure recorded in the store's ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asl_extract.extractor import ExtractedVideo
from asl_kit.errors import AslKitError, FeatureError, MissingFileError, VideoError
from asl_kit.store import FeatureStore, SourceVideo


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
        Why it failed.
    message : str
        What the user should read at once; empty: nothing.
    features : int
        Features written.
    frames_decoded, frames_in_files : int
        Frames that came out of the decoder since the last result, and that the opened files hold.
    """

    video_id: str
    status: Literal["done", "skipped", "failed", "failed_before"]
    reason: str = ""
    message: str = ""
    features: int = 0
    frames_decoded: int = 0
    frames_in_files: int = 0


def store_video(
    store: FeatureStore, video_id: str, extracted: ExtractedVideo | AslKitError, *, seconds: float, on_error: str
) -> VideoResult:
    """Write a video's features to the store, or record its error in the ledger; `seconds` is how long it took.

    Raises
    ------
    AslKitError
        If the store cannot be written, or the video failed and `on_error` is ``stop``.
    """
    try:
        if isinstance(extracted, AslKitError):
            raise extracted
        video = SourceVideo(video_id, extracted.grid, extracted.duration_s, extracted.fps, extracted.frames)
        store.write(video, extracted.features, seconds=seconds, note=extracted.note)
    except (VideoError, FeatureError, MissingFileError) as fault:
        failed = fail_video(store, video_id, fault.message, hint=fault.hint, seconds=seconds)
        if on_error == "stop":
            raise
        return failed
    message = f"{video_id}: {extracted.note}" if extracted.note else ""
    return VideoResult(video_id, "done", message=message, features=len(extracted.features))


def fail_video(
    store: FeatureStore, video_id: str, reason: str, *, hint: str | None = None, seconds: float = 0.0
) -> VideoResult:
    """Record in the ledger that a video failed, and return its result."""
    store.ledger.record(video_id, "failed", reason, seconds=seconds)
    return VideoResult(video_id, "failed", reason, f"failed: {reason}" + (f" ({hint})" if hint else ""))
