"""How long a study of two runs takes with both at once, against one after the other; one thread each.

    python tests/benchmarks/study_speed.py --pairs 3 --epochs 4

Prints the seconds of each study and the ratio of the medians: below 1, doing both at once pays.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from informative_frames import make_set
from study_sets import GRIDS, prepare

STUDY = """
[study]
seeds = [0]
model.width = 128
optimizer.epochs = {epochs}
data.sequence_length = 320

[sets.generated]
annotations = "annotations.json"
features = "features.zarr"

[variants.baseline]
sensitivity = {{class_level = false, instance_level = false}}

[variants.both]
"""


def seconds(study: Path, out: Path, jobs: int) -> float:
    """Return how long the study takes in a new folder."""
    command = [sys.executable, "-m", "asl_kit", "study", str(study), "--out", str(out), "--jobs", str(jobs)]
    began_s = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--device", "cpu"], check=True, capture_output=True, env=environment)
    return time.monotonic() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        make_set(data / "source")
        prepare(GRIDS["generated"], data / "source", data)
        study = data / "study.toml"
        study.write_text(STUDY.format(epochs=options.epochs), "utf-8")
        taken: dict[int, list[float]] = {1: [], 2: []}
        for pair in range(options.pairs):
            for jobs in (1, 2) if pair % 2 == 0 else (2, 1):
                taken[jobs].append(seconds(study, data / f"{pair}-{jobs}", jobs))
                print(f"{jobs} at once: {taken[jobs][-1]:.1f} s", flush=True)
    medians = {jobs: statistics.median(values) for jobs, values in taken.items()}
    print(f"both at once take {medians[2] / medians[1]:.2f} of the time of one after the other")


if __name__ == "__main__":
    main()
