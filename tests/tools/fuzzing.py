"""Damage the files that asl-kit reads, in random ways: python tests/tools/fuzzing.py --format NAME --minutes 10

A damaged file may be refused with one of asl-kit's own errors, or read exactly as it is; every item of an annotation
source must then be in the result or in the report. A traceback, a hang or a partly written file is a fault. A case
depends on the name of its format and a number only, so `python tests/tools/fuzzing.py --format NAME --case NUMBER`
reproduces it.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.fuzz_formats import FORMATS, run_format
from tools.fuzz_outcomes import Outcome
from tools.fuzz_sources import SAMPLES, run_sample

MEMORY_BYTES = 6 * 2**30
"""Memory limit above what the imports use; a hundred times the need of the largest sample."""
GROUPS = {"sources": SAMPLES, "formats": sorted(FORMATS)}


def run_case(name: str, case: int) -> Outcome:
    """Damage a sample or the files of a format in the way of this case number, and return the outcome."""
    chance = random.Random(f"{name} {case}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if name in FORMATS:
            return run_format(name, case, chance, Path(folder))
        return run_sample(name, chance, Path(folder))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    choices = [*GROUPS, *GROUPS["formats"], *GROUPS["sources"]]
    parser.add_argument("--format", choices=choices, default="sources", help="a format, a sample, or all of either")
    parser.add_argument("--case", type=int, help="run only this case, and print its outcome")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message="`torch.jit")
    if options.case is not None:
        outcome = run_case(options.format, options.case)
        console.print(f"{outcome.kind}: {outcome.detail}", markup=False)
        return int(outcome.is_fault)
    names = GROUPS.get(options.format, [options.format])
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    faults = 0
    case = options.first
    for name in names:
        run_case(name, case)  # so that everything is imported before memory is limited
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end:
        for name in names:
            outcome = run_case(name, case)
            counts[name][outcome.kind] += 1
            if outcome.is_fault:
                faults += 1
                console.print(f"FAULT --format {name} --case {case}: {outcome.kind}: {outcome.detail}", markup=False)
        case += 1
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    title = f"cases {options.first} to {case - 1}; peak memory {peak_mb:.0f} MB"
    table = Table("format", "cases", "refused", "accepted", "faults", title=title)
    for name, found in counts.items():
        wrong = found.total() - found["refused"] - found["accepted"]
        table.add_row(name, *map(str, (found.total(), found["refused"], found["accepted"], wrong)))
    table.add_row("all", str(sum(c.total() for c in counts.values())), "", "", str(faults), style="bold")
    console.print(table)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
