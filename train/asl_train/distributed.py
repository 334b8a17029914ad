"""One training run in several processes, started by ``torchrun``.

The result is the same as in one process: `optimizer.batch_size` is the batch size of
all processes together, each process holds some of its videos, and the gradients are
summed over the processes before the step. Each loss is already normalised by the whole
batch, so the sum is exact. `DistributedDataParallel` averages instead, which is
not exact here, and would also have to wrap the parameters of the losses.

Random numbers depend on the seed, the step and a video's position in the batch. Only
with `model.dropout` above 0 do they also depend on the number of processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from asl_kit.base.console import silence
from asl_kit.errors import AslKitError, UsageError
from asl_kit.model.collectives import is_in_group, rank, world_size
from asl_kit.torch_utils.device import use_device

# The first process may read all features for their statistics while the others wait; torchrun ends the processes of a
# failed run.
LONGEST_WAIT = timedelta(hours=12)


@contextmanager
def training_processes(device: str) -> Iterator[torch.device]:
    """Join the process group if ``torchrun`` has started this process; yield its device.

    Only the first process shows messages. If processes fail, the first to fail reports its error; the others end
    silently.

    Parameters
    ----------
    device : str
        `auto` and `cuda` select the GPU of this process's LOCAL_RANK.

    Raises
    ------
    UsageError
        If the device is one GPU and there are several processes.
    """
    if not _is_started_by_torchrun():
        yield use_device(device)
        return
    store, process_rank, count = next(rendezvous("env://", timeout=LONGEST_WAIT))
    if process_rank:
        silence()
    try:
        chosen = use_device(_own_device(device))
        backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=process_rank, world_size=count, timeout=LONGEST_WAIT)
        yield chosen
        dist.barrier()
        dist.destroy_process_group()
    except (Exception, KeyboardInterrupt) as fault:
        if _is_first_to_fail(store):
            raise
        time.sleep(1)  # torchrun ends all processes when one ends; let the first one report its error
        raise SystemExit(fault.exit_code if isinstance(fault, AslKitError) else 1) from None


def _is_started_by_torchrun() -> bool:
    """Return whether there is a process group to join: other launchers set some of these variables too."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return "LOCAL_RANK" in os.environ and (several or dist.is_torchelastic_launched())


def _is_first_to_fail(store: Any) -> bool:
    try:
        return int(store.add("asl-kit faults", 1)) == 1
    except RuntimeError:  # the store is gone with the process that failed first
        return False


def _own_device(name: str) -> str:
    local = os.environ["LOCAL_RANK"]
    if name == "auto":
        return f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda:") and int(os.environ["WORLD_SIZE"]) > 1:
        raise UsageError(
            f"--device {name}: several processes cannot train on one GPU",
            hint="with torchrun, give --device cuda and select the GPUs with CUDA_VISIBLE_DEVICES",
        )
    return f"cuda:{local}" if name == "cuda" else name


def is_main_process() -> bool:
    """Return whether this process writes the run's files."""
    return rank() == 0


def gather_objects(value: Any) -> list[Any]:
    """Return the picklable value of every process, in order of rank."""
    if not is_in_group():
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def broadcast_parameters(module: nn.Module) -> None:
    """Copy the parameters and buffers of the first process to all others."""
    if is_in_group():
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)


def sum_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace every gradient by its sum over the processes, with one all-reduce."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not is_in_group():
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    totals = flat.split([gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [t.view_as(g) for t, g in zip(totals, gradients, strict=True)])
