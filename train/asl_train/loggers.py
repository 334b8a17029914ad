"""Loggers: where the training curve goes besides ``curve.jsonl``. One that fails is left out; training goes on."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import google_crc32c

from asl_kit.base.console import err, warn
from asl_kit.base.files import read_json, write_text
from asl_kit.errors import AslKitError, MissingDependencyError

RUNS = "loggers.json"
"""The file in the folder of a run that names its runs at Weights & Biases and MLflow."""
_SEND_S = 10.0


class Logger(Protocol):
    """Records values of steps."""

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Record the values of a step."""

    def flush(self) -> None:
        """Pass everything on."""

    def close(self, *, failed: bool) -> None:
        """Pass everything on and end; `failed`: training has not reached its end."""


def check_loggers(names: Sequence[str]) -> None:
    """Refuse loggers whose package is not installed.

    Raises
    ------
    MissingDependencyError
        Names the extra to install.
    """
    for name in names:
        if find_spec(name) is None:
            raise MissingDependencyError(
                f"run.loggers: the package {name} is not installed", hint=f"pip install 'asl-kit[{name}]'"
            )


class Loggers:
    """The loggers of a run. One that fails is named in a warning, once, and gets nothing any more.

    Parameters
    ----------
    names : sequence of str
        `tensorboard`, `wandb`, `mlflow`.
    folder : Path
        Folder of the run.
    config : mapping of str to object
        The recipe, for loggers that show it.
    after_step : int
        Step after which the run goes on; 0 if it is new.
    """

    def __init__(self, names: Sequence[str], folder: Path, config: Mapping[str, Any], after_step: int) -> None:
        self._loggers: dict[str, Logger] = {}
        for name in names:
            with self._tolerating(name):
                self._loggers[name] = _OPEN[name](folder, config, after_step)

    @contextmanager
    def _tolerating(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as fault:  # of a disk, a network or a package: none of it is worth a training run
            self._loggers.pop(name, None)
            reason = " ".join(str(fault).split()) or type(fault).__name__
            warn(err(), f"run.loggers: {name} fails and is left out from now on; curve.jsonl has all values: {reason}")

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Record the values of a step."""
        for name, logger in list(self._loggers.items()):
            with self._tolerating(name):
                logger.add(values, step)

    def flush(self) -> None:
        """Pass everything on."""
        for name, logger in list(self._loggers.items()):
            with self._tolerating(name):
                logger.flush()

    def close(self, *, failed: bool) -> None:
        """Pass everything on and end."""
        for name, logger in list(self._loggers.items()):
            with self._tolerating(name):
                logger.close(failed=failed)


def _known_run(folder: Path, logger: str) -> str | None:
    """Return the id under which a logger knows this run; None if it does not know it yet."""
    try:
        found = read_json(folder / RUNS, AslKitError)[logger]
    except (AslKitError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _remember_run(folder: Path, logger: str, run_id: str) -> None:
    known = {name: found for name in ("wandb", "mlflow") if (found := _known_run(folder, name)) is not None}
    write_text(folder / RUNS, json.dumps(known | {logger: run_id}) + "\n")


class _TensorBoard:
    """A file of scalars for TensorBoard, which discards records of earlier files after a step.

    The `SummaryWriter` of torch writes in a thread, which prints a traceback if the disk is full.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], after_step: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # protobuf and numpy warn on import
            from tensorboard.compat.proto import event_pb2, summary_pb2
        self._events, self._summaries = event_pb2, summary_pb2
        folder /= "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        seconds, rest = divmod(time.time_ns(), 10**9)
        name = f"events.out.tfevents.{seconds:010}.{socket.gethostname()}.{os.getpid()}.{rest:09}"
        self._file = (folder / name).open("xb")
        self._write(file_version="brain.Event:2")
        self._write(step=after_step + 1, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))

    def _write(self, **fields: Any) -> None:
        event = self._events.Event(wall_time=time.time(), **fields).SerializeToString()
        length = struct.pack("<Q", len(event))
        self._file.write(length + _masked_checksum(length) + event + _masked_checksum(event))

    def add(self, values: Mapping[str, float], step: int) -> None:
        scalars = [self._summaries.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=self._summaries.Summary(value=scalars))

    def flush(self) -> None:
        self._file.flush()

    def close(self, *, failed: bool) -> None:
        self._file.close()


def _masked_checksum(data: bytes) -> bytes:
    """Return the checksum of a TFRecord, as https://www.tensorflow.org/tutorials/load_data/tfrecord defines it.

    The `RecordWriter` of TensorBoard computes it in Python, which takes longer than all else that a step is recorded.
    """
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


class _WeightsAndBiases:
    """A run at Weights & Biases, whose own variables (WANDB_MODE, WANDB_PROJECT, ...) say where; it sends in a process.

    Steps are a value of their own: wandb's steps cannot go back to the last checkpoint.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], after_step: int) -> None:
        import wandb

        run_id = _known_run(folder, "wandb")
        chosen = run_id or uuid.uuid4().hex[:12]
        self._run = wandb.init(
            id=chosen,
            resume="allow",
            project=os.environ.get("WANDB_PROJECT", "asl-kit"),
            name=folder.absolute().name,
            dir=str(folder),
            config=dict(config),
            settings=wandb.Settings(console="off"),
        )
        self._run.define_metric("*", step_metric="step")
        if run_id is None:
            _remember_run(folder, "wandb", chosen)

    def add(self, values: Mapping[str, float], step: int) -> None:
        self._run.log({**values, "step": step})

    def flush(self) -> None:
        pass  # its own process has everything

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class _Mlflow:
    """A run at the MLflow server of MLFLOW_TRACKING_URI, or in ``mlflow/`` in the run's folder; a thread sends."""

    def __init__(self, folder: Path, config: Mapping[str, Any], after_step: int) -> None:
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # later versions ask for it
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # the default waits for minutes
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mlflow.entities import Metric, Param
            from mlflow.tracking import MlflowClient

            self._metric = Metric
            self._client = MlflowClient(
                os.environ.get("MLFLOW_TRACKING_URI") or (folder / "mlflow").absolute().as_uri()
            )
            known = _known_run(folder, "mlflow")
            if known is None:
                name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "asl-kit")
                experiment = self._client.get_experiment_by_name(name)
                experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(name)
                known = self._client.create_run(experiment_id, run_name=folder.absolute().name).info.run_id
                _remember_run(folder, "mlflow", known)
                params = [Param(key, str(value)) for key, value in _flat(config)]
                for first in range(0, len(params), 100):  # the most that a request may hold
                    self._client.log_batch(known, params=params[first : first + 100])
            else:
                self._client.update_run(known, status="RUNNING")
        self._run_id = known
        self._waiting: list[Any] = []
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mlflow")
        self._sending: Future[None] | None = None
        self._sent_s = time.monotonic()

    def add(self, values: Mapping[str, float], step: int) -> None:
        now_ms = time.time_ns() // 10**6
        self._waiting += [self._metric(name, value, now_ms, step) for name, value in values.items()]
        if time.monotonic() - self._sent_s > _SEND_S:
            self.flush()

    def flush(self) -> None:
        if self._sending is not None and not self._sending.done():
            return
        if self._sending is not None:
            self._sending.result()
        metrics, self._waiting, self._sent_s = self._waiting, [], time.monotonic()
        self._sending = self._thread.submit(self._send, metrics)

    def _send(self, metrics: list[Any]) -> None:
        for first in range(0, len(metrics), 1000):  # the most that a request may hold
            self._client.log_batch(self._run_id, metrics=metrics[first : first + 1000])

    def close(self, *, failed: bool) -> None:
        if self._sending is not None:
            self._sending.result()
        self._thread.shutdown()
        self._send(self._waiting)
        self._client.set_terminated(self._run_id, "FAILED" if failed else "FINISHED")


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


_OPEN: Mapping[str, Callable[[Path, Mapping[str, Any], int], Logger]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WeightsAndBiases,
    "mlflow": _Mlflow,
}
