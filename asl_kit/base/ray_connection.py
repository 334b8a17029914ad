"""The connection to a Ray cluster. Ray is optional: ``pip install 'asl-kit[ray]'``."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from asl_kit.errors import MissingDependencyError, UsageError

LOCAL = "local"
_CONNECT_LIMIT_S = 10.0


@contextmanager
def connect(address: str) -> Iterator[ModuleType]:
    """Connect to the cluster at an address, and yield the module `ray`; ``local`` starts a cluster on this host.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    UsageError
        If there is no cluster at this address.
    """
    try:
        import ray
    except ImportError as fault:
        raise MissingDependencyError("Ray is not installed", hint="pip install 'asl-kit[ray]'") from fault
    _check_reachable(address)
    try:
        if address == LOCAL:
            ray.init(address=LOCAL, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
        else:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as fault:
        raise UsageError(f"--ray {address}: no Ray cluster there: {str(fault).strip().splitlines()[0]}") from fault
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse an address where nothing listens; Ray itself would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return  # `auto` and the like: Ray resolves them
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_LIMIT_S).close()
    except (OSError, OverflowError) as fault:
        raise UsageError(f"--ray {address}: no Ray cluster there: {fault}") from fault
