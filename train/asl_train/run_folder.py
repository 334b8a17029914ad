"""The folder of a training run: checkpoints, the training curve, TensorBoard."""

from __future__ import annotations

import json
import warnings
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from asl_kit.base.files import name_write_errors, write_text
from asl_kit.errors import UsageError
from asl_train.processes import is_main_process


class RunFolder:
    """Where a run writes: one run at a time, until the folder is closed as a context manager.

    ``last.ckpt`` resumes the run, ``model.ckpt`` is for use, ``curve.jsonl``
    holds one line a step and one a validation, ``tensorboard/`` the same for TensorBoard.

    Parameters
    ----------
    path : Path
        Made if absent.
    resume : bool
        Whether to go on with the run that is there.

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
            if is_main_process():  # of several processes of one run, the one that writes
                _lock(self._lock, path)
            if not resume and (self.last.exists() or self.model.exists()):
                raise UsageError(
                    f"{path}: holds a training run already", hint="go on with --resume, or choose another --out"
                )
        except UsageError:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def keep_curve_until(self, step: int) -> None:
        """Drop what was recorded after a step: those steps are run again."""
        kept = []
        if self.curve.exists():
            for line in self.curve.read_bytes().split(b"\n")[:-1]:
                try:
                    text = line.decode()
                    if json.loads(text)["step"] > step:
                        break
                except (ValueError, KeyError, TypeError, RecursionError):
                    break  # torn by a kill, or damaged; nothing behind it counts
                kept.append(text + "\n")
        write_text(self.curve, "".join(kept))


def _lock(file: IO[str], path: Path) -> None:
    """Keep other processes out until the file is closed, by whatever end this process comes to."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"{path}: another process is training into this folder", hint="wait for it, or choose another --out"
        ) from None
    except (ImportError, OSError):  # not on Windows, nor on some file systems of networks
        pass


class CurveWriter:
    """Appends to the training curve, in ``curve.jsonl`` and in TensorBoard's files.

    Parameters
    ----------
    folder : RunFolder
        Where to.
    after_step : int
        TensorBoard drops what it has of later steps.
    """

    def __init__(self, folder: RunFolder, after_step: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protobuf and numpy, on import
            from torch.utils.tensorboard import SummaryWriter
        self._curve, self._boards = folder.curve, folder.path / "tensorboard"
        with name_write_errors(self._boards):
            self._board = SummaryWriter(str(self._boards), purge_step=after_step + 1)
        with name_write_errors(self._curve):
            self._lines = folder.curve.open("a", encoding="utf-8")

    def add(self, step: int, epoch: int, values: dict[str, float], *, group: str) -> None:
        """Record numbers of a step; `group` heads their names in TensorBoard."""
        record: dict[str, Any] = {"step": step, "epoch": epoch, "group": group, **values}
        with name_write_errors(self._curve):
            self._lines.write(json.dumps(record) + "\n")
        with name_write_errors(self._boards):
            for name, value in values.items():
                self._board.add_scalar(f"{group}/{name}", value, step)

    def flush(self) -> None:
        """Hand everything to the operating system, so that a kill of the process loses nothing."""
        with name_write_errors(self._curve):
            self._lines.flush()
        with name_write_errors(self._boards):
            self._board.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with name_write_errors(self._boards), closing(self._board), name_write_errors(self._curve):
            self._lines.close()
