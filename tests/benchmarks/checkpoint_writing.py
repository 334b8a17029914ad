"""How long a checkpoint keeps training waiting: ``python tests/benchmarks/checkpoint_writing.py``.

A network and optimizer of THUMOS14's size. Alternately, a checkpoint is written while training waits, and given to the
thread that writes it while steps go on. Printed: the time that training waits in both cases, and that of a step alone
and during a write.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from train_step import CLASSES, SHAPE, make_sequences

from asl_kit.checkpoint.files import save_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.model.network import Localizer
from asl_kit.recipes.files import load_recipe
from asl_kit.torch_utils.device import use_device
from asl_train.checkpoint_writer import CheckpointWriter
from asl_train.sequences import collate
from asl_train.trainable_model import TrainableModel


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--length", type=int, default=256, help="features per video")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    device, recipe = use_device(options.device), load_recipe()
    network = Localizer(recipe, SHAPE, CLASSES).to(device).train()
    model = TrainableModel(network, recipe, [CLASSES], torch.float32)
    batch = collate(make_sequences([options.length] * 2), ["a", "b"], network.padded_length, device)

    def step() -> None:
        model.train_step(batch, 0, 1e-4).read()

    def checkpoint() -> Checkpoint:
        return Checkpoint(
            weights=model.final_weights()[0],
            recipe=recipe,
            vocabularies={"action": tuple(map(str, range(CLASSES)))},
            shape=SHAPE,
            extraction=(),
            objective=model.objective.state_dict(),
            training=model.state(),
        )

    step()
    times: dict[str, list[float]] = {"waiting for a write": [], "waiting for a copy": [], "step": [], "in a write": []}
    with tempfile.TemporaryDirectory() as folder, CheckpointWriter() as writer:
        path = Path(folder) / "last.ckpt"
        for _ in range(options.rounds):
            times["waiting for a write"].append(timed(lambda: save_checkpoint(checkpoint(), path)))
            times["step"].append(timed(step))
            times["waiting for a copy"].append(timed(lambda: writer.save(checkpoint(), path)))
            written = path.stat().st_mtime_ns
            while path.stat().st_mtime_ns == written:
                times["in a write"].append(timed(step))
        print(f"{path.stat().st_size / 1e6:.0f} MB, {torch.get_num_threads()} threads, {device}")
    for name, seconds in times.items():
        print(f"{name:20} min {1000 * min(seconds):6.0f} ms, median {1000 * statistics.median(seconds):6.0f} ms")


if __name__ == "__main__":
    main()
