"""A Ray cluster: one actor a device, all at one store on a file system that every node sees.

The actor with the desk hands out videos; a lost actor's videos go to others, and another actor takes its
place where the cluster has room for one. Ray is optional: ``pip install 'asl-kit[ray]'``.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from asl_extract.executors.work_queue import Dispatcher, Job, work
from asl_extract.videos import VideoFile
from asl_kit.errors import AslKitError, MissingDependencyError, UsageError
from asl_kit.store.staging import clear_stale

LOCAL = "local"
_PAUSE_S = 0.2
_REACH_S = 10.0
_MAX_FALSE_STARTS = 3


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster that this process is connected to.

    Parameters
    ----------
    ray : module
        Ray itself.
    has_gpus : bool
        Whether there is a GPU in it; actors then get one each.
    size : int
        Actors that there will be.
    """

    ray: ModuleType
    has_gpus: bool
    size: int

    @property
    def unit(self) -> str:
        """What an actor gets for itself."""
        return "GPU" if self.has_gpus else "node"


@contextmanager
def connect(address: str) -> Iterator[Cluster]:
    """Connect to the cluster at an address; ``local`` starts one on this host.

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
            ray.init(log_to_driver=False, logging_level="ERROR", include_dashboard=False)
        else:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as fault:
        raise UsageError(f"--ray {address}: no Ray cluster there: {_first_line(fault)}") from fault
    try:
        gpus = int(ray.cluster_resources().get("GPU", 0))
        yield Cluster(ray, bool(gpus), gpus or sum(node["Alive"] for node in ray.nodes()))
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse an address where nobody listens; Ray itself would go on trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return  # `auto` and the like: Ray knows what they mean
    try:
        socket.create_connection((host, int(port)), timeout=_REACH_S).close()
    except (OSError, OverflowError) as fault:
        raise UsageError(f"--ray {address}: no Ray cluster there: {fault}") from fault


def extract_on_ray(
    files: Sequence[VideoFile],
    job: Job,
    cluster: Cluster,
    *,
    tell: Callable[[Any], None],
    advance: Callable[[float, str], None],
    give_up: Callable[[VideoFile, str], None],
) -> None:
    """Extract videos on a Ray cluster, with one actor a GPU, or one a node where there is no GPU.

    Parameters
    ----------
    files : sequence of VideoFile
        The videos, handed out in this order; every node must see them under these paths.
    job : Job
        What all actors do alike.
    cluster : Cluster
        From `connect`.
    tell, advance, give_up : callable
        As in `asl_extract.executors.devices.extract_on_devices`.

    Raises
    ------
    AslKitError
        What an actor could not go on after, if no actor lives, or if the one that hands out the videos is lost.
    """
    try:
        _extract(files, job, cluster, tell=tell, advance=advance, give_up=give_up)
    except cluster.ray.exceptions.RayActorError as fault:
        raise AslKitError(
            f"the Ray actor that hands out the videos is lost: {_first_line(fault)}",
            hint="run the same command again: it goes on with the videos that are not in the store",
        ) from fault
    with suppress(OSError):
        clear_stale(job.store / "tmp")  # of actors that were lost while they wrote


def _extract(
    files: Sequence[VideoFile],
    job: Job,
    cluster: Cluster,
    *,
    tell: Callable[[Any], None],
    advance: Callable[[float, str], None],
    give_up: Callable[[VideoFile, str], None],
) -> None:
    """Extract videos; a desk that is lost is a `RayActorError`, whether the driver misses it or an actor."""
    ray = cluster.ray
    here = ray.get_runtime_context().get_node_id()
    stay = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(here, soft=False)
    absolute = [VideoFile(file.video_id, file.path.absolute()) for file in files]
    # The desk stays with the driver: it must not be lost with a node.
    desk = ray.remote(num_cpus=0, scheduling_strategy=stay)(_RayDispatcher).remote(absolute)
    actor_type = ray.remote(num_cpus=1, num_gpus=int(cluster.has_gpus), scheduling_strategy="SPREAD")(_Actor)
    calls: dict[Any, tuple[str, Any]] = {}
    started = false_starts = 0

    def start() -> None:
        nonlocal started
        started += 1
        name = f"actor {started}"
        actor = actor_type.remote()
        calls[actor.run.remote(name, job, desk)] = (name, actor)

    for _ in range(cluster.size):
        start()
    while True:
        news, is_finished = ray.get(desk.news.remote())
        for kind, content in news:
            false_starts = 0
            if kind == "tell":
                tell(content)
            else:
                advance(*content)
        if is_finished:
            return
        ready, _ = ray.wait(list(calls), timeout=_PAUSE_S)
        for call in ready:
            name, _ = calls.pop(call)
            try:
                ray.get(call)
            except ray.exceptions.RayTaskError as fault:
                known = isinstance(fault.cause, (AslKitError, ray.exceptions.RayActorError))
                raise (fault.cause if known else fault) from None
            except ray.exceptions.RayError as fault:  # the actor, or its node, is gone
                reason = _first_line(fault)
                for file in ray.get(desk.lost.remote(name)):
                    give_up(file, reason)
                false_starts += 1
                if false_starts == _MAX_FALSE_STARTS * cluster.size:
                    raise AslKitError(f"no actor lives on this cluster: {reason}") from fault
                start()


def _first_line(fault: Exception) -> str:
    return str(fault).strip().splitlines()[0]


class _RayDispatcher:
    """The dispatcher, as an actor; it keeps the news until the driver asks."""

    def __init__(self, files: list[VideoFile]) -> None:
        self._dispatcher = Dispatcher(deque(files))
        self._news: list[tuple[str, Any]] = []

    def next(self, worker: str) -> tuple[VideoFile | None, bool]:
        """Return the next video for a worker, and whether it should ask again where there is none."""
        idle = self._dispatcher.has_nothing(worker)
        file = self._dispatcher.next(worker)
        return file, file is None and idle and not self._dispatcher.is_finished

    def tell(self, worker: str, news: Any) -> None:
        self._dispatcher.settled(worker, news.video_id)
        self._news.append(("tell", news))

    def advance(self, videos: float, note: str) -> None:
        self._news.append(("advance", (videos, note)))

    def lost(self, worker: str) -> list[VideoFile]:
        return self._dispatcher.lost(worker)

    def news(self) -> tuple[list[tuple[str, Any]], bool]:
        news, self._news = self._news, []
        return news, self._dispatcher.is_finished


class _RayDesk:
    """A worker's side of the dispatcher's actor."""

    def __init__(self, ray: ModuleType, worker: str, dispatcher: Any) -> None:
        self._ray = ray
        self._worker = worker
        self._dispatcher = dispatcher
        self._videos, self._sent_s = 0.0, 0.0

    def next(self) -> VideoFile | None:
        while True:
            file, ask_again = self._ray.get(self._dispatcher.next.remote(self._worker))
            if not ask_again:
                found: VideoFile | None = file
                return found
            time.sleep(_PAUSE_S)

    def tell(self, news: Any) -> None:
        # Waited for: a video must not be told of after its worker is lost, as lost too.
        self._ray.get(self._dispatcher.tell.remote(self._worker, news))

    def advance(self, videos: float, note: str) -> None:
        self._videos += videos
        if time.monotonic() - self._sent_s > _PAUSE_S or not note:  # not a message for every few frames
            self._dispatcher.advance.remote(self._videos, note)
            self._videos, self._sent_s = 0.0, time.monotonic()


class _Actor:
    """A worker with a device of its own: the one that Ray gives it."""

    def run(self, name: str, job: Job, dispatcher: Any) -> None:
        import ray

        work(job, _RayDesk(ray, name, dispatcher), device="auto")
