"""Looking at everything and judging it."""

from __future__ import annotations

from asl_kit.environment.checks import Check, all_checks
from asl_kit.environment.facts import look_at_machine
from asl_kit.environment.probe import PROBES, run_probes


def examine() -> list[Check]:
    """Return every check of this machine and installation; takes as long as PyTorch takes to load."""
    return list(all_checks(look_at_machine(), run_probes(list(PROBES))))
