"""Collective operations of the processes of one training run; a single process needs no communication.

Each process holds some videos of the batch. The losses of all processes, and their
gradients, add up to those of one process with the whole batch. Therefore normalisers of
losses are summed over all processes, and features that are compared across videos are
gathered from all.

Video i of a process is video ``i * world_size + rank`` of the whole batch.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

DRAWN_TOGETHER = 1024  # random numbers are drawn for this many videos, or a multiple for larger batches


def is_in_group() -> bool:
    """Return whether this process is in a process group; a group of one communicates as any other."""
    return dist.is_available() and dist.is_initialized()


def world_size() -> int:
    """Return the number of processes that train together; 1 outside of a process group."""
    return dist.get_world_size() if is_in_group() else 1


def rank() -> int:
    """Return the rank of this process, from 0."""
    return dist.get_rank() if is_in_group() else 0


def global_sum(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, without gradient."""
    if not is_in_group():
        return value.detach()
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def global_max(value: int, device: torch.device) -> int:
    """Return the largest of a number over all processes, which speak through a device."""
    if not is_in_group():
        return value
    largest = torch.tensor(value, device=device)
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return int(largest)


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes in order of rank; only the rows of this process carry a gradient.

    If every process computes a loss of all rows, the gradients of the processes add up to the full gradient.

    Parameters
    ----------
    rows : Tensor
        (n, ...): n may differ between processes.
    """
    if not is_in_group():
        return rows
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    sizes = torch.cat(counts).tolist()
    plain = rows.detach().to(torch.uint8) if rows.dtype == torch.bool else rows.detach()
    padded = torch.cat([plain, plain.new_zeros(max(sizes) - len(plain), *plain.shape[1:])])
    gathered = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(gathered, padded)
    parts = [part[:size].to(rows.dtype) for part, size in zip(gathered, sizes, strict=True)]
    parts[rank()] = rows
    return torch.cat(parts)


def addend(loss: Tensor) -> Tensor:
    """Return this process's share of a loss that every process has computed in full; its gradient is not scaled."""
    return loss - loss.detach() * (1 - 1 / world_size()) if world_size() > 1 else loss


def random_rows(rows: int, count: int, device: torch.device) -> Tensor:
    """Return random numbers in [0, 1), `rows` for each of this process's videos, as a single process would draw them.

    Every process draws for the whole batch from a generator in the same state and selects its own numbers.

    Returns
    -------
    Tensor
        (rows, count).
    """
    whole = -(-count * world_size() // DRAWN_TOGETHER) * DRAWN_TOGETHER
    return torch.rand(rows, whole, device=device)[:, rank() :: world_size()][:, :count]
