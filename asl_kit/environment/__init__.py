"""Examination of the machine and the installation, for `asl-kit doctor`.

`machine` collects facts without imports, `import_probes` imports packages in a separate process, and `checks`
judges both. Importing this package loads only the standard library, so it works
if packages are broken.
"""

from asl_kit.environment.checks import Check, Verdict, all_checks
from asl_kit.environment.import_probes import PROBES, run_probes
from asl_kit.environment.machine import look_at_machine

__all__ = ["Check", "Verdict", "examine"]


def examine() -> list[Check]:
    """Return all checks of this machine and installation; loads PyTorch in a separate process."""
    return all_checks(look_at_machine(), run_probes(list(PROBES)))
