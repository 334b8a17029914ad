"""Settings of the whole test run."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None)  # the first call of torch alone may take seconds
settings.register_profile("deep", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
# Ray's workers are nice to other processes, by 15: beside other tests they would hardly run.
os.environ.setdefault("RAY_worker_niceness", "0")


LONGEST = ("test_quick_start.py", "test_fleet.py", "test_own_data.py", "test_training_processes.py")
"""Files whose tests take minutes: they start first, so that several processes end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first; skip tests marked `gpu` without a GPU, unless ASL_KIT_REQUIRE_GPU=1 forbids it."""
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked or os.environ.get("ASL_KIT_REQUIRE_GPU") == "1":
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device; ASL_KIT_REQUIRE_GPU=1 makes this a failure"))


@pytest.fixture(autouse=True)
def _no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print as in a pipe without COLUMNS, which shells may export and pytest-xdist sets."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """Return the ffmpeg program; skip where there is none, unless ASL_KIT_REQUIRE_FFMPEG=1 forbids it."""
    path = shutil.which("ffmpeg")
    if path is None:
        reason = (
            "the ffmpeg program is not installed (apt-get install ffmpeg); ASL_KIT_REQUIRE_FFMPEG=1 makes this fail"
        )
        if os.environ.get("ASL_KIT_REQUIRE_FFMPEG") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture
def offer_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes an installed package of a module, as pip would leave it."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def install(code: str, *, group: str, target: str, name: str, module: str = "other_package") -> None:
        """Install a module of this code, whose `target` is the entry point `name` of a group."""
        folder = site / f"{module}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{target}\n")
        (site / f"{module}.py").write_text(code)
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()

    return install
