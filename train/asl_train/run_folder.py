"""The folder of a training run: checkpoints, the training curve, TensorBoard."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from asl_kit.errors import UsageError
from asl_kit.files import write_text


class RunFolder:
    """Where a run writes.

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
        If the folder holds a run and `resume` is false.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        self.last = path / "last.ckpt"
        self.model = path / "model.ckpt"
        self.curve = path / "curve.jsonl"
        if not resume and (self.last.exists() or self.model.exists()):
            raise UsageError(
                f"{path}: holds a training run already", hint="go on with --resume, or choose another --out"
            )
        path.mkdir(parents=True, exist_ok=True)

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
        self._lines = folder.curve.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder.path / "tensorboard"), purge_step=after_step + 1)

    def add(self, step: int, epoch: int, values: dict[str, float], *, group: str) -> None:
        """Record numbers of a step; `group` heads their names in TensorBoard."""
        record: dict[str, Any] = {"step": step, "epoch": epoch, "group": group, **values}
        self._lines.write(json.dumps(record) + "\n")
        for name, value in values.items():
            self._board.add_scalar(f"{group}/{name}", value, step)

    def flush(self) -> None:
        """Hand everything to the operating system, so that a kill of the process loses nothing."""
        self._lines.flush()
        self._board.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._board.close()
