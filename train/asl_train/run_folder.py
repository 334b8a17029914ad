"""The folder of a training run: checkpoints and training curve."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from asl_kit.base.files import locked, name_write_errors, write_text
from asl_kit.errors import AslKitError, UsageError
from asl_train.distributed import is_main_process
from asl_train.loggers import Loggers


class RunFolder:
    """The output folder of a run, locked until the context manager is closed.

    ``last.ckpt`` is the checkpoint to resume from, ``model.ckpt`` the trained model, ``curve.jsonl``
    has one line per step and per validation; ``tensorboard/`` and the like are of the loggers.

    Parameters
    ----------
    path : Path
        Created if absent.
    resume : bool
        Whether to resume the run in the folder.

    Raises
    ------
    UsageError
        If the folder holds a run and `resume` is false, or another process is training into it.
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.last = path / "last.ckpt"
        self.model = path / "model.ckpt"
        self.curve = path / "curve.jsonl"
        self._lock = ExitStack()
        try:
            # Only the main process writes.
            if is_main_process() and not self._lock.enter_context(locked(path / ".lock")):
                raise UsageError(
                    f"{path}: another process is training into this folder",
                    hint="wait for it, or choose another --out",
                )
            if not resume and (self.last.exists() or self.model.exists()):
                raise UsageError(
                    f"{path}: already holds a training run", hint="resume it with --resume, or choose another --out"
                )
            if is_main_process():
                self._remove_unfinished()
        except AslKitError:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _remove_unfinished(self) -> None:
        """Remove what a kill in the middle of a write has left behind; a checkpoint may be large."""
        with name_write_errors(self.path):
            for file in (self.last, self.model, self.curve):
                for unfinished in self.path.glob(f".{file.name}.*.tmp"):
                    unfinished.unlink()

    def keep_curve_until(self, step: int) -> None:
        """Remove the records after a step, which will be repeated."""
        kept = []
        if self.curve.exists():
            for line in self.curve.read_bytes().split(b"\n")[:-1]:
                try:
                    text = line.decode()
                    if json.loads(text)["step"] > step:
                        break
                except (ValueError, KeyError, TypeError, RecursionError):
                    break  # cut short by a kill, or damaged; ignore everything after it
                kept.append(text + "\n")
        write_text(self.curve, "".join(kept))


class CurveWriter:
    """Appends to the training curve in ``curve.jsonl``, and passes it on to the loggers of the run.

    Parameters
    ----------
    folder : RunFolder
        Folder of the run.
    loggers : Loggers
        They are closed with the curve.
    """

    def __init__(self, folder: RunFolder, loggers: Loggers) -> None:
        self._curve, self._loggers = folder.curve, loggers
        with name_write_errors(self._curve):
            self._lines = folder.curve.open("a", encoding="utf-8")

    def add(self, step: int, epoch: int, values: dict[str, float], *, group: str) -> None:
        """Record values of a step; `group` is the prefix of their names in the loggers."""
        record: dict[str, Any] = {"step": step, "epoch": epoch, "group": group, **values}
        with name_write_errors(self._curve):
            self._lines.write(json.dumps(record) + "\n")
        self._loggers.add({f"{group}/{name}": value for name, value in values.items()}, step)

    def flush(self) -> None:
        """Pass everything to the operating system, so that nothing is lost if the process is killed."""
        with name_write_errors(self._curve):
            self._lines.flush()
        self._loggers.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._loggers.close(failed=kind is not None)
        with name_write_errors(self._curve):
            self._lines.close()
