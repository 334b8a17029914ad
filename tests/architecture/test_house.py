"""The house rules: layers, light imports, module sizes, manifests, documented commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from asl_kit.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PACKAGES = ("asl_kit", "extract", "train", "evaluate")
HEAVY = ("torch", "torchvision", "pytorchvideo", "zarr", "h5py", "decord", "av", "tensorboard")


def modules_after(*lines: str) -> set[str]:
    code = "; ".join([*lines, "import sys", "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_layers() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("statement", ["import asl_kit", "import asl_kit.cli"])
def test_importing_is_light(statement: str) -> None:
    assert not modules_after(statement) & {*HEAVY, "numpy", "pydantic", "rich"}


@pytest.mark.parametrize("arguments", [[], *[[name] for name in COMMANDS]], ids=["asl-kit", *COMMANDS])
def test_help_is_light(arguments: list[str]) -> None:
    call = f"main({[*arguments, '--help']!r}, standalone_mode=False)"
    assert not modules_after("from asl_kit.cli import main", call) & set(HEAVY)


def test_no_module_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long


def test_every_package_is_typed() -> None:
    for package in ("asl_kit", "extract/asl_extract", "train/asl_train", "evaluate/asl_evaluate"):
        assert (ROOT / package / "py.typed").exists()


def test_nothing_is_compiled_at_install() -> None:
    sources = [
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".c", ".cpp", ".cu", ".pyx"}
    ]
    assert not sources
