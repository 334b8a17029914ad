"""How much memory is free."""

from __future__ import annotations

from asl_kit.base.memory import available_bytes


def test_available_memory() -> None:
    assert available_bytes("MemTotal:       65000 kB\nMemAvailable:   48000 kB\n") == 48000 * 1024
    assert available_bytes("MemTotal:       65000 kB\n") is None
