"""The house rules: layers, light imports, module sizes, manifests, documented commands."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
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


MAX_BRANCHES = 6
"""Of one function of the command line: it parses options and prints, and other packages do the work."""


def branches(function: ast.FunctionDef) -> int:
    kinds = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.match_case)
    return sum(isinstance(node, kinds) for node in ast.walk(function))


def test_commands_hold_options_and_printing_alone() -> None:
    found = {
        f"{place}: {node.name}": count
        for place, tree in SOURCES.items()
        if place.startswith("asl_kit/cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and (count := branches(node)) > MAX_BRANCHES
    }
    assert not found


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


def calls(tree: ast.AST) -> Iterator[str]:
    """Yield what is called, such as ``time.time``, with the mode of ``open``: ``path.open:w``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            modes = [argument.value for argument in node.args[:2] if isinstance(argument, ast.Constant)]
            modes += [
                word.value.value
                for word in node.keywords
                if word.arg == "mode" and isinstance(word.value, ast.Constant)
            ]
            written = [
                mode for mode in modes if isinstance(mode, str) and re.fullmatch(r"[rwxabt+]*[wxa+][rwxabt+]*", mode)
            ]
            yield f"{name}:{written[0]}" if name.endswith("open") and written else name


SOURCES = {
    str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}


def test_intervals_are_measured_by_a_clock_that_does_not_jump() -> None:
    """`time.time` and `datetime.now` follow the system's clock, which is set back and forth; records state them."""
    of_the_day = {
        place
        for place, tree in SOURCES.items()
        if {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.datetime.now"} & {*calls(tree)}
    }
    assert of_the_day == {"asl_kit/store/ledger.py", "train/asl_train/loggers.py"}


def test_files_are_written_whole_or_not_at_all() -> None:
    """By `asl_kit.base.files.atomic_write`, or where noted, by what has tests of full disks of its own."""
    pattern = re.compile(r".*open:.*[wxa+].*|.*\.write_(text|bytes)|torch\.save|np\.(save|savez.*|savetxt)|.*\.tofile")
    own = {
        "asl_kit/store/arrays.py",  # into a folder that is renamed when it is whole
        "asl_kit/store/ledger.py",  # appends lines
        "asl_kit/remote/access.py",  # into a cache, whose users take what is whole
        "train/asl_train/run_folder.py",  # appends lines
        "train/asl_train/loggers.py",  # appends records
        "asl_kit/environment/import_probes.py",  # a pipe
    }
    found = {place for place, tree in SOURCES.items() if any(map(pattern.fullmatch, calls(tree)))}
    unguarded = {place for place in found if "atomic_write" not in {*calls(SOURCES[place])}}
    assert unguarded == own


def test_the_documented_folders_of_tests_are_those_there() -> None:
    text = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    documented = {
        name
        for line in text.splitlines()
        if line.startswith("| `tests/")
        for name in re.findall(r"`tests/(\w+)/`", line)
    }
    there = {path.parent.name for path in (ROOT / "tests").glob("*/*") if path.parent.name != "__pycache__"}
    assert documented == there
