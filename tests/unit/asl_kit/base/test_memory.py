"""How much memory is free, in all that limits a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from asl_kit.base.memory import available_bytes, available_in_groups, available_memory


def test_available_memory() -> None:
    assert available_bytes("MemTotal:       65000 kB\nMemAvailable:   48000 kB\n") == 48000 * 1024
    assert available_bytes("MemTotal:       65000 kB\n") is None
    found = available_memory()
    assert found is None or found > 0


GROUPS = {  # limit, use and cache that can be dropped of each folder
    "version 2": ("0::/job/step\n", {".": None, "job": ("1000", 700, 200), "job/step": ("max", 700, 0)}, [500]),
    "container": ("0::/\n", {".": ("900", 100, 0)}, [800]),
    "container seen from within": ("0::/../other\n", {".": ("900", 100, 0)}, [800]),
    "unlimited": ("0::/user\n", {".": None, "user": ("max", 5, 0)}, []),
    "version 1": ("3:cpu:/\n2:memory:/job\n", {"memory": None, "memory/job": ("1000", 400, 100)}, [700]),
    "none": ("", {}, []),
}


@pytest.mark.parametrize("case", GROUPS)
def test_control_groups(case: str, tmp_path: Path) -> None:
    membership, folders, expected = GROUPS[case]
    for folder, values in folders.items():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        if values is None:
            continue
        old = folder.startswith("memory")
        limit, use, cache = values
        for name, text in {
            "memory.limit_in_bytes" if old else "memory.max": limit,
            "memory.usage_in_bytes" if old else "memory.current": str(use),
            "memory.stat": f"anon 3\n{'total_' if old else ''}inactive_file {cache}\n",
        }.items():
            (tmp_path / folder / name).write_text(text)
    assert available_in_groups(tmp_path, membership) == expected
