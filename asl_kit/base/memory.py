"""How much memory this process may still take."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path


def available_memory() -> int | None:
    """Return the available memory in bytes, of the system or of the container if that is less; None if unknown."""
    with suppress(OSError, ValueError):
        system = available_bytes(Path("/proc/meminfo").read_text())
        with suppress(OSError, ValueError):
            group = Path("/sys/fs/cgroup")
            room = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
            return room if system is None else min(system, room)
        return system
    return None


def available_bytes(meminfo: str) -> int | None:
    """Return the available memory from the text of ``/proc/meminfo``."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else None
