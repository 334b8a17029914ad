"""One training run in several processes, started by ``torchrun``.

The run is the same as in one process: `optimizer.batch_size` is the batch of
all processes together, each holds some of its videos, and the gradients of all
are added up before the step. Each loss is already divided by what the whole
batch has of it, so that the sum is exact. `DistributedDataParallel` would
average, which is not, and would have to wrap the losses' own parameters too;
one all-reduce of all gradients needs neither.

Random numbers depend on seed, step and a video's place in the batch. Only
`model.dropout` above 0, which draws for every value, draws other numbers in
another number of processes.
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
from asl_kit.model.collectives import processes, rank
from asl_kit.torch_utils.device import choose_device

# The first process may read all features for their statistics while the others wait; torchrun ends those of a dead run.
LONGEST_WAIT = timedelta(hours=12)


@contextmanager
def training_processes(device: str) -> Iterator[torch.device]:
    """Join the other processes of the run, if ``torchrun`` has started several; yield this one's device.

    Only the first process shows messages. Where processes fail, the first to fail says why; the others end
    in silence, whether they met the same fault or only miss their partner.

    Parameters
    ----------
    device : str
        `auto` and `cuda` are the GPU of this process's LOCAL_RANK.

    Raises
    ------
    UsageError
        If one GPU is named for several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "LOCAL_RANK" not in os.environ:
        yield choose_device(device)
        return
    store, place, count = next(rendezvous("env://", timeout=LONGEST_WAIT))
    if place:
        silence()
    try:
        chosen = choose_device(_own_device(device))
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=place, world_size=count, timeout=LONGEST_WAIT)
        yield chosen
        dist.barrier()
        dist.destroy_process_group()
    except (Exception, KeyboardInterrupt) as fault:
        if _is_first_to_fail(store):
            raise
        time.sleep(1)  # torchrun ends all as soon as one has ended, and the first has yet to speak
        raise SystemExit(fault.exit_code if isinstance(fault, AslKitError) else 1) from None


def _is_first_to_fail(store: Any) -> bool:
    try:
        return int(store.add("asl-kit faults", 1)) == 1
    except RuntimeError:  # the store is gone, and with it the process that failed first
        return False


def _own_device(name: str) -> str:
    local = os.environ["LOCAL_RANK"]
    if name == "auto":
        return f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda:"):
        raise UsageError(
            f"--device {name}: several processes cannot train on one GPU",
            hint="with torchrun give --device cuda, and choose the GPUs by CUDA_VISIBLE_DEVICES",
        )
    return f"cuda:{local}" if name == "cuda" else name


def is_main_process() -> bool:
    """Return whether this process writes the run's files."""
    return rank() == 0


def gather_objects(value: Any) -> list[Any]:
    """Return a picklable value of every process, in order."""
    if processes() == 1:
        return [value]
    values: list[Any] = [None] * processes()
    dist.all_gather_object(values, value)
    return values


def copy_from_first(module: nn.Module) -> None:
    """Give every process the first one's parameters and buffers."""
    if processes() > 1:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)


def add_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace every gradient by its sum over the processes, all in one message."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if processes() == 1:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, total in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(total.view_as(gradient))
