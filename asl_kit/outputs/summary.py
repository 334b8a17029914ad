"""What was written for many videos, and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asl_kit.errors import AslKitError


@dataclass(frozen=True)
class OutputSummary:
    """What was written for many videos, and what failed.

    Parameters
    ----------
    video_count : int
        Videos that were to be processed.
    written : sequence of Path
        Files that were written.
    failed_videos : sequence of str
        Why videos failed, a message each.
    failed_files : sequence of str
        Why files could not be written, a message each.
    """

    video_count: int
    written: Sequence[Path]
    failed_videos: Sequence[str]
    failed_files: Sequence[str]

    def raise_failures(self) -> None:
        """Raise one `AslKitError` that lists everything that failed, if anything did."""
        lists = {
            f"{len(self.failed_videos)} of {self.video_count} videos failed": self.failed_videos,
            f"{len(self.failed_files)} files could not be written": self.failed_files,
        }
        problems = ["\n  ".join([title, *messages]) for title, messages in lists.items() if messages]
        if problems:
            raise AslKitError("\n".join(problems))


def failure_line(fault: AslKitError) -> str:
    """Return the line that reports a failure while the work continues."""
    return f"failed: {fault.message}" + (f" ({fault.hint})" if fault.hint else "")
