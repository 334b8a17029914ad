"""The folder of a training run: checkpoints, training curve, TensorBoard files."""

from __future__ import annotations

import json
import warnings
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Self

from asl_kit.base.files import name_write_errors, write_text
from asl_kit.errors import UsageError
from asl_train.distributed import is_main_process


class RunFolder:
    """The output folder of a run, locked until the context manager is closed.

    ``last.ckpt`` is the checkpoint to resume from, ``model.ckpt`` the trained model, ``curve.jsonl``
    has one line per step and per validation, and ``tensorboard/`` the same for TensorBoard.

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
        with name_write_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / ".lock").open("a")
        try:
            if is_main_process():  # the only process that writes
                _lock(self._lock, path)
            if not resume and (self.last.exists() or self.model.exists()):
                raise UsageError(
                    f"{path}: already holds a training run", hint="resume it with --resume, or choose another --out"
                )
        except UsageError:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

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


def _lock(file: IO[str], path: Path) -> None:
    """Lock out other processes until the file is closed, at the latest when this process ends."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"{path}: another process is training into this folder", hint="wait for it, or choose another --out"
        ) from None
    except (ImportError, OSError):  # Windows and some network file systems have no such locks
        pass


class CurveWriter:
    """Appends to the training curve in ``curve.jsonl`` and in TensorBoard's files.

    Parameters
    ----------
    folder : RunFolder
        Folder of the run.
    after_step : int
        Last step to keep; TensorBoard discards records of later steps.
    """

    def __init__(self, folder: RunFolder, after_step: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # protobuf and numpy warn on import
            from torch.utils.tensorboard import SummaryWriter
        self._curve, self._boards = folder.curve, folder.path / "tensorboard"
        with name_write_errors(self._boards):
            self._board = SummaryWriter(str(self._boards), purge_step=after_step + 1)
        with name_write_errors(self._curve):
            self._lines = folder.curve.open("a", encoding="utf-8")

    def add(self, step: int, epoch: int, values: dict[str, float], *, group: str) -> None:
        """Record values of a step; `group` is the prefix of their names in TensorBoard."""
        record: dict[str, Any] = {"step": step, "epoch": epoch, "group": group, **values}
        with name_write_errors(self._curve):
            self._lines.write(json.dumps(record) + "\n")
        with name_write_errors(self._boards):
            for name, value in values.items():
                self._board.add_scalar(f"{group}/{name}", value, step)

    def flush(self) -> None:
        """Pass everything to the operating system, so that nothing is lost if the process is killed."""
        with name_write_errors(self._curve):
            self._lines.flush()
        with name_write_errors(self._boards):
            self._board.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with name_write_errors(self._boards), closing(self._board), name_write_errors(self._curve):
            self._lines.close()
