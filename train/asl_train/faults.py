"""Faults of a training run, each as one message that says what to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from asl_kit.errors import TrainingError
from asl_kit.model.collectives import processes
from asl_kit.recipes.schema import Recipe

# torch has no class for the CPU's; numpy raises MemoryError.
_CPU_ALLOCATION = ("DefaultCPUAllocator", "can't allocate memory")


@contextmanager
def memory_faults_named(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn running out of memory into a message that names the settings to lower, with their values.

    Raises
    ------
    TrainingError
        If the block runs out of memory, of the GPU or of the machine.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as fault:
        if not is_out_of_memory(fault):
            raise
        data = recipe.data
        length = "max_sequence_length" if data.sequence_length == "auto" else "sequence_length"
        shared = f", shared by {processes()} processes" if processes() > 1 else ""
        raise TrainingError(
            f"{device}: not enough memory: {str(fault).splitlines()[0] if str(fault) else 'an allocation failed'}",
            hint=f"lower optimizer.batch_size (now {recipe.optimizer.batch_size}{shared}) or data.{length}"
            f" (now {getattr(data, length)}), or set run.precision=bfloat16 (now {recipe.run.precision}), in a new"
            " --out; or go on in this one with --resume on a larger device or in more processes",
        ) from fault


def is_out_of_memory(fault: BaseException) -> bool:
    """Return whether a fault says that memory ran out."""
    return isinstance(fault, torch.OutOfMemoryError | MemoryError) or all(
        text in str(fault) for text in _CPU_ALLOCATION
    )
