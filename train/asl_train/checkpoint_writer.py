"""Checkpoints written in a thread while training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from asl_kit.checkpoint.files import save_checkpoint
from asl_kit.checkpoint.model import Checkpoint


class CheckpointWriter:
    """Writes checkpoints in a thread, in the order of the calls; a context manager that ends when all are written.

    Training waits only while the tensors are copied to host memory, and for an earlier write of the same file.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writes: dict[Path, Future[None]] = {}

    def save(self, checkpoint: Checkpoint, path: Path) -> None:
        """Start to write a checkpoint atomically, as it is now.

        Raises
        ------
        OutputError
            If an earlier checkpoint could not be written to this path.
        """
        if path in self._writes:
            self._writes.pop(path).result()
        copies: dict[Any, Tensor] = {}
        fields = {name: _copy(getattr(checkpoint, name), copies) for name in ("weights", "objective", "training")}
        self._writes[path] = self._thread.submit(save_checkpoint, replace(checkpoint, **fields), path)

    def check(self) -> None:
        """Report a write that has failed.

        Raises
        ------
        OutputError
            If a checkpoint could not be written.
        """
        for path in [path for path, write in self._writes.items() if write.done()]:
            self._writes.pop(path).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(wait=True)
        if kind is None:
            self.check()


def _copy(value: Any, copies: dict[Any, Tensor]) -> Any:
    """Return nested values with all tensors copied to host memory; the same tensor, which may come twice, once."""
    if isinstance(value, Mapping):
        return {key: _copy(item, copies) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copy(item, copies) for item in value)
    if not isinstance(value, Tensor):
        return value
    key = (value.device, value.data_ptr(), value.dtype, value.shape, value.stride())
    if key not in copies:
        copies[key] = value.detach().to("cpu", copy=True)
    return copies[key]
