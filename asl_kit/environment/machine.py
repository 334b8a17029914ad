"""Facts about the machine, collected without importing anything that may be broken."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from asl_kit import __version__
from asl_kit.base.memory import available_memory

_PROGRAM_LIMIT_S = 20.0


@dataclass(frozen=True)
class Folder:
    """A folder that asl-kit writes to."""

    use: str
    """What the folder is for."""
    path: Path
    """The folder, or its nearest existing parent."""
    free_bytes: int
    """Free space."""
    writable: bool
    """Whether this user can write to it."""


@dataclass(frozen=True)
class Gpu:
    """The NVIDIA GPUs according to the system, independent of PyTorch."""

    names: tuple[str, ...] = ()
    """Names that ``nvidia-smi`` prints; empty if it cannot be run."""
    driver: str | None = None
    """Version of the driver; None if there is no driver."""
    devices: bool = False
    """Whether this process sees the device file of a GPU; a container may have only the driver."""
    visible: str | None = None
    """CUDA_VISIBLE_DEVICES."""


@dataclass(frozen=True)
class MachineFacts:
    """All facts about the machine."""

    version: str
    """Version of the running asl-kit."""
    installed_version: str | None
    """Version of the installed asl-kit; None if it is not installed."""
    converters: int
    """Number of installed converters."""
    python: str
    """``3.11.7``."""
    system: str
    """``Linux``."""
    machine: str
    """``x86_64``."""
    packages: dict[str, str]
    """Versions of all installed packages by name."""
    gpu: Gpu
    """The GPUs."""
    shared_memory_bytes: int | None
    """Free space in /dev/shm; None if it does not exist."""
    memory_bytes: int | None
    """Memory available to this process; None if not known."""
    open_files: int | None
    """Limit on open files of this process; None if unlimited or not known."""
    folders: tuple[Folder, ...]
    """Folders that asl-kit writes to."""
    ffmpeg: str | None
    """Version of the ffmpeg program; None if there is none."""


def look_at_machine() -> MachineFacts:
    """Collect all facts without importing packages."""
    packages = _packages()
    cache = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch")
    return MachineFacts(
        version=__version__,
        installed_version=packages.get("asl-kit"),
        converters=len(entry_points(group="asl_kit.converters")),
        python=platform.python_version(),
        system=platform.system(),
        machine=platform.machine(),
        packages=packages,
        gpu=_gpu(),
        shared_memory_bytes=_shared_memory(),
        memory_bytes=available_memory(),
        open_files=_open_files(),
        folders=(
            _folder("temporary files", Path(tempfile.gettempdir())),
            _folder("downloaded weights", cache.expanduser()),
            _folder("this folder", Path()),
        ),
        ffmpeg=_ffmpeg(),
    )


def _packages() -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        with suppress(KeyError, TypeError, AttributeError):  # metadata that an interrupted install left behind
            name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
            found.setdefault(name, distribution.version)
    return found


def _output_of(*command: str) -> str | None:
    """Return the output of a program; None if it is absent, fails or hangs."""
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run([program, *command[1:]], capture_output=True, timeout=_PROGRAM_LIMIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def _gpu() -> Gpu:
    listed = _output_of("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader") or ""
    rows = [line.rpartition(", ") for line in listed.splitlines() if ", " in line]
    driver = rows[0][2].strip() if rows else None
    if driver is None:
        with suppress(OSError):
            driver = driver_version(Path("/proc/driver/nvidia/version").read_text(errors="replace"))
    devices = bool(rows) or any(Path("/dev").glob("nvidia[0-9]*"))
    return Gpu(tuple(row[0].strip() for row in rows), driver, devices, os.environ.get("CUDA_VISIBLE_DEVICES"))


def driver_version(text: str) -> str | None:
    """Return the driver's version from the text of ``/proc/driver/nvidia/version``."""
    found = re.search(r"Kernel Module\b.*?\s(\d+\.\d+(?:\.\d+)?)", text)
    return found[1] if found else None


def _shared_memory() -> int | None:
    with suppress(OSError):
        return shutil.disk_usage("/dev/shm").free
    return None


def _open_files() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _folder(use: str, path: Path) -> Folder:
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    free = 0
    with suppress(OSError):
        free = shutil.disk_usage(path).free
    return Folder(use, path, free, os.access(path, os.W_OK | os.X_OK))


def _ffmpeg() -> str | None:
    words = (_output_of("ffmpeg", "-version") or "").split()
    return words[2] if len(words) > 2 else None
