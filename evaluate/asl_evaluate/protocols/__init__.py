"""How results are scored: protocols by the names that manifests and ``--protocol`` use.

A protocol is a module with a function ``score(task: Task) -> Scores``. It is loaded on first use, so the
command line's help stays light.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asl_kit.errors import UsageError

if TYPE_CHECKING:
    from asl_evaluate.scores import Scores
    from asl_evaluate.task import Task


@dataclass(frozen=True)
class Protocol:
    """One way to score."""

    name: str
    summary: str
    """One line: what it computes, and whose score that is."""
    module: str
    """Module of this package, with a function ``(task: Task) -> Scores``."""
    function: str = "score"
    tiou: str | None = None
    """Thresholds of the challenge, ``LO:HI:STEP``. None: those of the dataset."""
    by_frame: bool = False
    """Whether it scores moments, without thresholds."""
    joint: bool = False
    """Whether it scores several vocabularies together, from labels like ``take,plate``."""

    def score(self, task: Task) -> Scores:
        """Score a task."""
        module = importlib.import_module(f"asl_evaluate.protocols.{self.module}")
        result: Scores = getattr(module, self.function)(task)
        return result


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("activitynet", "interpolated AP, as ActivityNet's official script", "activitynet"),
        Protocol("thumos14", "AP not interpolated and tIoU strict, as THUMOS14's official tool", "thumos14"),
        Protocol(
            "multithumos",
            "mAP over every frame, as in MultiTHUMOS papers",
            "frames",
            "score_multithumos",
            by_frame=True,
        ),
        Protocol(
            "charades",
            "mAP over 25 moments a video, as Charades' official script",
            "frames",
            "score_charades",
            by_frame=True,
        ),
        Protocol(
            "proposals", "average recall AR@AN, as ActivityNet's proposal task", "proposals", tiou="0.5:0.95:0.05"
        ),
        Protocol(
            "ego4d-mq", "mAP and recall@kx, as the Ego4D Moment Queries challenge", "ego4d_mq", tiou="0.1:0.5:0.1"
        ),
        Protocol(
            "epic-kitchens",
            "mAP of verb, noun and action, as the EPIC-KITCHENS-100 challenge",
            "epic_kitchens",
            tiou="0.1:0.5:0.1",
            joint=True,
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises
    ------
    UsageError
        If there is none. The message lists those that exist.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"unknown protocol '{name}', expected one of: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
