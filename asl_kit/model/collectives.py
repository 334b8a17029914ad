"""What the processes of one training run work out together; alone, a process answers for itself at once.

Each process holds some videos of the batch. Its losses are addends: added up
over the processes, they and their gradients are those of one process that
holds the whole batch. So what a loss is divided by is summed over all, and
what is compared across videos is gathered from all.

Video i of a process is video ``i * processes + rank`` of the whole batch.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

DRAWN_TOGETHER = 1024  # random numbers are drawn for so many videos at once; only larger batches draw more


def world_size() -> int:
    """Return how many processes train together; 1 outside of a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the place of this process among them, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def global_sum(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, without gradient."""
    if world_size() == 1:
        return value.detach()
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, one process after the other; only this process's own carry a gradient.

    A loss of all rows that every process computes in full so gets, added up
    over the processes, its whole gradient.

    Parameters
    ----------
    rows : Tensor
        (n, ...): n may differ between processes.
    """
    if world_size() == 1:
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
    """Return this process's share of a loss that every process has computed in full: its gradient stays whole."""
    return loss - loss.detach() * (1 - 1 / world_size()) if world_size() > 1 else loss


def random_rows(count: int, device: torch.device) -> Tensor:
    """Return a random number in [0, 1) for each of this process's videos: those that one process would draw for them.

    Every process draws for the whole batch, from a generator in the same state, and takes its own.
    """
    whole = -(-count * world_size() // DRAWN_TOGETHER) * DRAWN_TOGETHER
    return torch.rand(whole, device=device)[rank() :: world_size()][:count]
