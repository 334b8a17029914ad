"""Local copies of videos at addresses: of bounded size, deleted after use and after a kill.

Each process has a folder of its own in the cache, and a lock on it. What a killed process left is not locked, and is
removed by the next one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from asl_extract.decoders import VideoSource
from asl_extract.videos import RemoteVideo, Video
from asl_kit.base.console import err
from asl_kit.errors import AslKitError, OutputError, UsageError, VideoError
from asl_kit.remote.access import SILENCE_S, StoppedError, download
from asl_kit.remote.address import Address
from asl_kit.remote.faults import RemoteFacts, RemoteFault
from asl_kit.store.identity import FileIdentity

NOT_FETCHED = "cannot be fetched"
"""In the reason of a video that was not decoded, because it could not be fetched: the next run tries it again."""

CACHE_SIZE_GB = 20.0
"""Default size of a process's copies at most, in 10^9 bytes."""

_POLL_S = 0.1
_END_S = 1.0
_PREFIX = "asl-kit-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_SUFFIX = re.compile(r"(\.tar)?\.[A-Za-z0-9]{1,8}$")


@dataclass(frozen=True)
class CacheSettings:
    """Where videos at addresses are kept while they are needed.

    Parameters
    ----------
    folder : path, optional
        The folder; None: one of the user in the system's folder for temporary files.
    size_gb : float
        Size of the copies of one process at most, in 10^9 bytes.
    silence_s : float
        A server that sends nothing for so long is asked again.

    Raises
    ------
    UsageError
        If the size is not above 0.
    """

    folder: str | Path | None = None
    size_gb: float = CACHE_SIZE_GB
    silence_s: float = SILENCE_S

    def __post_init__(self) -> None:
        if not self.size_gb > 0:
            raise UsageError(f"cache size must be above 0 GB, got {self.size_gb:g}")

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(tempfile.gettempdir(), f"asl-kit-{os.getuid()}") if self.folder is None else Path(self.folder)


@dataclass(frozen=True)
class LocalCopy:
    """A copy of a video, until it is released."""

    video: RemoteVideo
    path: Path
    facts: RemoteFacts

    @property
    def source(self) -> VideoSource:
        """What a decoder opens."""
        return self.video.source_at(self.path)

    def identity(self) -> FileIdentity:
        """Return the identity of the video, which names its address; raises `OSError`."""
        found = replace(FileIdentity.of(self.path), path=str(self.video.path))
        return replace(found, modified_s=self.facts.modified_s, version=self.facts.version)

    def named(self, fault: AslKitError) -> AslKitError:
        """Return an error that names the address in place of the copy."""
        return type(fault)(fault.message.replace(str(self.path), str(self.video.path)), hint=fault.hint)


class VideoCache:
    """The copies of this process, for a ``with`` statement. A folder is made for the first one.

    Parameters
    ----------
    settings : CacheSettings
        Where, and how much.
    """

    def __init__(self, settings: CacheSettings) -> None:
        self._settings = settings
        self._limit_bytes = int(settings.size_gb * 1e9)
        self._folder: Path | None = None
        self._lock = -1
        self._sizes: dict[Path, int] = {}
        self._count = 0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._fetching = threading.Lock()

    def __enter__(self) -> VideoCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        is_idle = self._fetching.acquire(timeout=_END_S)  # a server that is silent is not waited for
        if is_idle:
            self._fetching.release()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            _lock_of(self._folder).unlink(missing_ok=True)
            os.close(self._lock)

    def fetch(self, video: RemoteVideo) -> LocalCopy:
        """Fetch a video, when there is room for it; other threads may release copies meanwhile.

        Raises
        ------
        VideoError
            If it cannot be fetched, or there is no room for it.
        UsageError
            If the folder cannot be used.
        """
        with self._fetching:
            return self._fetch_one(video)

    def _fetch_one(self, video: RemoteVideo) -> LocalCopy:
        if self._stop.is_set():
            raise StoppedError
        if self._folder is None:
            self._folder, self._lock = _make_own_folder(self._settings)
        self._count += 1
        suffix = _SUFFIX.search(video.path.name)  # nothing else of a name from elsewhere is used
        try:
            return self._fetch(video, self._folder / f"{self._count}{suffix[0] if suffix else ''}")
        except RemoteFault as fault:
            raise VideoError(f"{video.path}: {NOT_FETCHED}: {fault.reason}", hint=fault.hint) from fault
        except OSError as fault:
            if isinstance(fault, VideoError):
                raise
            reason = fault.message if isinstance(fault, OutputError) else fault.strerror or str(fault)
            hint = "free some space, or name a folder on another disk with --cache"
            raise VideoError(f"{video.path}: {NOT_FETCHED}: {reason}", hint=hint) from fault

    def _fetch(self, video: RemoteVideo, path: Path) -> LocalCopy:
        while True:
            others = set(self._sizes)
            try:
                facts = download(
                    video.path,
                    path,
                    reserve=lambda size_bytes: self._reserve(video.path, path, size_bytes),
                    stop=self._stop,
                    silence_s=self._settings.silence_s,
                )
            except BaseException as fault:
                self._remove(path)
                full = isinstance(fault, OutputError) and getattr(fault.__cause__, "errno", 0) in _FULL
                if not (full and others):
                    raise
                self._wait_until(lambda: not others <= self._sizes.keys())  # noqa: B023
            else:
                return LocalCopy(video, path, facts)

    def release(self, copy: LocalCopy | None) -> None:
        """Delete a copy, if there is one."""
        if copy is not None:
            self._remove(copy.path)

    def _reserve(self, address: Address, path: Path, size_bytes: int) -> None:
        if size_bytes > self._limit_bytes:
            raise VideoError(
                f"{address}: {NOT_FETCHED}: its {size_bytes / 1e9:.3g} GB are more than the cache may hold"
                f" ({self._limit_bytes / 1e9:.3g} GB)",
                hint="raise --cache-size",
            )
        if self._sizes.get(path, -1) < size_bytes:
            self._wait_until(
                lambda: sum(self._sizes.values()) - self._sizes.get(path, 0) + size_bytes <= self._limit_bytes
            )
            self._sizes[path] = size_bytes

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        with self._changed:
            while not self._changed.wait_for(holds, timeout=_POLL_S):
                if self._stop.is_set():
                    raise StoppedError

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        with self._changed:
            self._sizes.pop(path, None)
            self._changed.notify_all()


def say_what_is_fetched(videos: Iterable[Video], settings: CacheSettings) -> None:
    """Print how many videos are at addresses, where they are kept, and what is not recorded; or nothing."""
    remote = [video for video in videos if isinstance(video, RemoteVideo)]
    if not remote:
        return
    err().print(
        f"{len(remote)} videos are at addresses: one after the other is fetched to {settings.path}"
        f" (at most {settings.size_gb:g} GB at a time per process) and deleted after use"
    )
    if secret := sum(video.path.has_secrets for video in remote):
        err().print(f"{secret} addresses have a login or a query, which are not recorded or printed")


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _make_own_folder(settings: CacheSettings) -> tuple[Path, int]:
    """Return a new folder in the cache, and the descriptor of its lock; remove what killed processes left."""
    cache = settings.path
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if settings.folder is None and cache.stat().st_uid != os.getuid():
            raise UsageError(f"{cache}: belongs to another user", hint="name a folder with --cache")
        with _locked(cache / f"{_PREFIX}cache"):
            for lock in cache.glob(f"{_PREFIX}*.lock"):
                _remove_abandoned(lock)
            own = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{socket.gethostname()}-{os.getpid()}-", dir=cache))
            descriptor = os.open(_lock_of(own), os.O_RDWR | os.O_CREAT, 0o600)
            with suppress(OSError):  # not every file system has locks: what is left there is never removed
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            return own, descriptor
    except OSError as fault:
        if isinstance(fault, AslKitError):
            raise
        raise UsageError(
            f"{cache}: cannot be used as a cache: {fault.strerror or fault}", hint="name a folder with --cache"
        ) from fault


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(lock: Path) -> None:
    """Remove a folder and its lock, unless a process holds the lock."""
    with suppress(OSError):
        descriptor = os.open(lock, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
