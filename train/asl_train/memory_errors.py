"""Out-of-memory errors, turned into a message that names the settings to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from asl_kit.errors import TrainingError
from asl_kit.model.collectives import world_size
from asl_kit.recipes.schema import Recipe

# torch has no error class for the CPU; numpy raises MemoryError.
_CPU_ALLOCATION = ("DefaultCPUAllocator", "can't allocate memory")


@contextmanager
def memory_error_context(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn running out of memory into an error that names the settings to lower, with their values.

    Raises
    ------
    TrainingError
        If the block runs out of GPU or host memory.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as fault:
        if not is_out_of_memory(fault):
            raise
        data = recipe.data
        length = "max_sequence_length" if data.sequence_length == "auto" else "sequence_length"
        shared = f", shared by {world_size()} processes" if world_size() > 1 else ""
        raise TrainingError(
            f"{device}: not enough memory: {str(fault).splitlines()[0] if str(fault) else 'an allocation failed'}",
            hint=f"lower optimizer.batch_size (now {recipe.optimizer.batch_size}{shared}) or data.{length}"
            f" (now {getattr(data, length)}), or set run.precision=bfloat16 (now {recipe.run.precision}), in a new"
            " --out; or resume this run with --resume on a larger device or in more processes",
        ) from fault


def is_out_of_memory(fault: BaseException) -> bool:
    """Return whether an exception reports that memory ran out."""
    memory = torch.OutOfMemoryError | MemoryError
    is_memory = isinstance(fault, memory) or isinstance(fault.__cause__, memory)  # the cause, of a loss term's fault
    return is_memory or all(text in str(fault) for text in _CPU_ALLOCATION)
