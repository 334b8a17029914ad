"""The folder of a training run: checkpoints, training curve, TensorBoard files."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
import warnings
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

import google_crc32c

from asl_kit.base.files import locked, name_write_errors, write_text
from asl_kit.errors import AslKitError, UsageError
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


class _TensorBoardFile:
    """A file of scalars for TensorBoard.

    The `SummaryWriter` of torch writes in a thread, which prints a traceback if the disk is full.

    Parameters
    ----------
    folder : Path
        Created if absent.
    purge_step : int
        TensorBoard discards records of earlier files from this step on.
    """

    def __init__(self, folder: Path, *, purge_step: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # protobuf and numpy warn on import
            from tensorboard.compat.proto import event_pb2, summary_pb2
        self._events, self._summaries = event_pb2, summary_pb2
        folder.mkdir(parents=True, exist_ok=True)
        seconds, rest = divmod(time.time_ns(), 10**9)
        name = f"events.out.tfevents.{seconds:010}.{socket.gethostname()}.{os.getpid()}.{rest:09}"
        self._file = (folder / name).open("xb")
        self._write(file_version="brain.Event:2")
        self._write(step=purge_step, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))

    def _write(self, **fields: Any) -> None:
        event = self._events.Event(wall_time=time.time(), **fields).SerializeToString()
        length = struct.pack("<Q", len(event))
        self._file.write(length + _masked_checksum(length) + event + _masked_checksum(event))

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Record the values of a step."""
        scalars = [self._summaries.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=self._summaries.Summary(value=scalars))

    def flush(self) -> None:
        """Pass everything to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close the file."""
        self._file.close()


def _masked_checksum(data: bytes) -> bytes:
    """Return the checksum of a TFRecord, as https://www.tensorflow.org/tutorials/load_data/tfrecord defines it.

    The `RecordWriter` of TensorBoard computes it in Python, which takes longer than all else that a step is recorded.
    """
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


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
        self._curve, self._boards = folder.curve, folder.path / "tensorboard"
        with name_write_errors(self._boards):
            self._board = _TensorBoardFile(self._boards, purge_step=after_step + 1)
        with name_write_errors(self._curve):
            self._lines = folder.curve.open("a", encoding="utf-8")

    def add(self, step: int, epoch: int, values: dict[str, float], *, group: str) -> None:
        """Record values of a step; `group` is the prefix of their names in TensorBoard."""
        record: dict[str, Any] = {"step": step, "epoch": epoch, "group": group, **values}
        with name_write_errors(self._curve):
            self._lines.write(json.dumps(record) + "\n")
        with name_write_errors(self._boards):
            self._board.add({f"{group}/{name}": value for name, value in values.items()}, step)

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
