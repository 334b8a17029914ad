"""Where videos are extracted: in this process, in a process for each device of this host, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from asl_extract.executors.base import Executor
from asl_extract.executors.devices import Devices
from asl_extract.executors.in_process import InProcess
from asl_extract.executors.ray_cluster import RayCluster
from asl_extract.settings import RunOptions
from asl_kit.base.ray_connection import connect
from asl_kit.torch_utils.device import choose_devices


@contextmanager
def open_executor(options: RunOptions) -> Iterator[Executor]:
    """Open the executor that the options ask for, for a ``with`` statement.

    Yields
    ------
    Executor
        In this process, on several devices or on a Ray cluster.

    Raises
    ------
    UsageError, MissingDependencyError
        If a device or the Ray cluster is not available.
    """
    if options.ray is not None:
        with connect(options.ray) as ray:
            yield RayCluster(ray)
        return
    devices = choose_devices(options.device)
    yield InProcess(devices[0]) if len(devices) == 1 else Devices(devices)
