"""How results are scored: each protocol by its name, which manifests and ``--protocol`` use.

A protocol is a module with a function ``score(task: Task) -> Scores``. It is loaded when it is
used, so that the command line's help stays light.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asl_kit.errors import UsageError

if TYPE_CHECKING:
    from asl_evaluate.preparation import Task
    from asl_evaluate.scores import Scores


@dataclass(frozen=True)
class Protocol:
    """One way to score."""

    name: str
    summary: str
    """What it computes, and whose number that is: one line."""
    module: str
    """Module of this package whose `score` does it."""

    def score(self, task: Task) -> Scores:
        """Score what the task asks for."""
        result: Scores = importlib.import_module(f"{__name__}.{self.module}").score(task)
        return result


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (Protocol("activitynet", "interpolated AP, as ActivityNet's official script", "activitynet"),)
}


def find_protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises
    ------
    UsageError
        If there is none; the message lists those there are.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"unknown protocol '{name}', expected one of: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
