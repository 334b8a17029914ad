"""How much memory this process may still take."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

# Of versions 2 and 1 of control groups: the line of /proc/self/cgroup, folder, limit, use, and cache in memory.stat.
_CONTROL_GROUPS = (
    (r"^0::/(.*)$", ".", "memory.max", "memory.current", "inactive_file"),
    (r"^\d+:memory:/(.*)$", "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def available_memory() -> int | None:
    """Return the available memory in bytes, of the system or of the container or job if that is less.

    None if the system does not tell.
    """
    with suppress(OSError, ValueError):
        system = available_bytes(Path("/proc/meminfo").read_text())
        groups = available_in_groups(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup").read_text())
        return min(groups if system is None else [system, *groups], default=None)
    return None


def available_bytes(meminfo: str) -> int | None:
    """Return the available memory from the text of ``/proc/meminfo``."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def available_in_groups(mount: Path, membership: str) -> list[int]:
    """Return what each limited control group of a process leaves.

    Parameters
    ----------
    mount : Path
        ``/sys/fs/cgroup``.
    membership : str
        The text of ``/proc/self/cgroup``.
    """
    available = []
    for line, folder, limit, use, cache in _CONTROL_GROUPS:
        found = re.search(line, membership, flags=re.MULTILINE)
        if found is None:
            continue
        root = mount / folder
        group = root / found[1]
        for place in [group, *group.parents]:  # a container sees its own group as the root
            with suppress(OSError, ValueError):
                free = int((place / limit).read_text()) - int((place / use).read_text())
                cached = re.search(rf"^{cache} (\d+)$", (place / "memory.stat").read_text(), flags=re.MULTILINE)
                available.append(free + (int(cached[1]) if cached else 0))
            if place == root:
                break
    return available
