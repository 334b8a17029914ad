"""Change one thing at a time in a module and check that a test fails: python tests/tools/mutation.py grid

Each change (a mutant) affects one operator, number, condition, argument or result. A mutant that passes all tests of
its module has survived: the changed code is not tested, or the change makes no difference.
tests/tools/mutation.md lists the survivors and why they make no difference.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import io
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy  # noqa: F401 (imported once, before all forks; so is torch)
import pytest
import torch  # noqa: F401
from rich.console import Console

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
"""Limit of processor time for the tests of a mutant; twenty times their usual time."""

METRICS = (
    "unit/asl_kit/metrics",
    "reference/test_protocols.py",
    "reference/test_challenge_metrics.py",
    "property/test_metrics.py",
    "property/test_challenge_metrics.py",
    "property/test_protocols.py",
)


@dataclass(frozen=True)
class Target:
    """A module and its tests, the fastest first."""

    file: str
    tests: tuple[str, ...]

    @property
    def module(self) -> str:
        return self.file.removeprefix("extract/").removesuffix(".py").replace("/", ".")


TARGETS = {
    "grid": Target("asl_kit/grid.py", ("unit/asl_kit/test_grid.py",)),
    "plan": Target("extract/asl_extract/clip_plan.py", ("unit/asl_extract/test_clip_plan.py", "property/test_plan.py")),
    "assignment": Target(
        "asl_kit/model/assignment.py",
        ("unit/asl_kit/model/test_assignment.py", "unit/asl_kit/model/test_vocabularies.py"),
    ),
} | {
    name: Target(f"asl_kit/metrics/{name}.py", METRICS)
    for name in (
        "average_precision", "frames", "interpolation", "matching", "proposals", "recall", "recall_at_multiples",
        "segments", "thumos14",
    )
}  # fmt: skip

OPERATORS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
NAMES = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "amin": "amax", "amax": "amin",
    "any": "all", "all": "any", "floor": "ceil", "ceil": "floor", "zeros": "ones", "ones": "zeros", "argmin": "argmax",
    "argmax": "argmin",
}  # fmt: skip
NAMES |= {f"{one}_": f"{other}_" for one, other in NAMES.items()}
TEXTS = {"left": "right", "right": "left"}
Change = Callable[[Any], ast.AST | None]


def changes_of(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Yield the possible changes of a node: a description, and a function that changes a copy of the node."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            yield f"{type(operator).__name__}", lambda new, at=place: _replace(new.ops, at)
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield f"{type(node.op).__name__}", lambda new: _set(new, "op", OPERATORS[type(new.op)]())
    elif isinstance(node, ast.UnaryOp):
        yield f"{type(node.op).__name__} gone", lambda new: new.operand
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        yield "condition turned", lambda new: _set(new, "test", ast.UnaryOp(ast.Not(), new.test))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{not node.value}", lambda new: _set(new, "value", not new.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield f"{node.value} + 1", lambda new: _set(new, "value", new.value + 1)
    elif isinstance(node, ast.Constant) and node.value in TEXTS:
        yield TEXTS[node.value], lambda new: _set(new, "value", TEXTS[new.value])
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "None returned", lambda new: _set(new, "value", ast.Constant(None))
    elif isinstance(node, ast.Name | ast.Attribute) and _name(node) in NAMES:
        field = "id" if isinstance(node, ast.Name) else "attr"
        yield NAMES[_name(node)], lambda new: _set(new, field, NAMES[getattr(new, field)])
    elif isinstance(node, ast.Call):
        for place, keyword in enumerate(node.keywords):
            yield (
                f"{keyword.arg} left out",
                lambda new, at=place: _set(new, "keywords", new.keywords[:at] + new.keywords[at + 1 :]),
            )


def _name(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def _set(node: ast.AST, field: str, value: object) -> ast.AST:
    setattr(node, field, value)
    return node


def _replace(operators: list[ast.cmpop], place: int) -> None:
    operators[place] = OPERATORS[type(operators[place])]()


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Yield (holder, field, index) of every expression and statement except messages and annotations."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "bases") or isinstance(tree, ast.JoinedStr | ast.Raise):
            continue
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, item in items:
            if isinstance(item, ast.AST):
                yield tree, field, index
                yield from places(item)


@dataclass(frozen=True)
class Mutant:
    """A module with one change."""

    number: int
    line: int
    text: str
    what: str
    code: Any


def mutants_of(source: str, filename: str) -> list[Mutant]:
    """Return every mutant of a module."""
    tree = ast.parse(source)
    lines = source.splitlines()
    found = []
    for holder, field, index in list(places(tree)):
        value = getattr(holder, field)
        node = value if index is None else value[index]
        for what, change in changes_of(node):
            new = copy.deepcopy(node)
            new = change(new) or new
            if index is None:
                setattr(holder, field, new)
            else:
                value[index] = new
            code = compile(ast.fix_missing_locations(copy.deepcopy(tree)), filename, "exec")
            if index is None:
                setattr(holder, field, node)
            else:
                value[index] = node
            line = getattr(node, "lineno", 0)
            found.append(Mutant(len(found), line, lines[line - 1].strip(), what, code))
    return found


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from given code."""

    def __init__(self, target: Target, code: Any) -> None:
        self.target, self.code = target, code

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> Any:
        if name != self.target.module:
            return None
        return importlib.util.spec_from_file_location(name, ROOT / self.target.file, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)


def tests_fail(target: Target, code: Any) -> bool:
    """Return whether a test of the module fails or exceeds its time limit, in a child of this process."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE_S, PATIENCE_S))
        resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30))
        sys.meta_path.insert(0, Finder(target, code))
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-o", "timeout=0"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of what is imported before the fork
        failed = True
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                failed = pytest.main([*options, *(f"tests/{path}" for path in target.tests)]) != 0
        finally:
            os._exit(int(failed))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="modules; all of them by default")
    parser.add_argument("--mutant", type=int, help="run only this mutant")
    options = parser.parse_args()
    os.chdir(ROOT)
    warnings.simplefilter("ignore")
    say = partial(Console(soft_wrap=True).print, markup=False, highlight=False)
    for name in options.targets or TARGETS:
        target = TARGETS[name]
        source = (ROOT / target.file).read_text(encoding="utf-8")
        started_s = time.monotonic()
        assert not tests_fail(target, compile(source, target.file, "exec")), f"{name}: its tests fail without a change"
        mutants = mutants_of(source, str(ROOT / target.file))
        chosen = mutants if options.mutant is None else [mutants[options.mutant]]
        survivors = 0
        for mutant in chosen:
            if not tests_fail(target, mutant.code):
                survivors += 1
                say(f"{target.file}:{mutant.line}: mutant {mutant.number}: {mutant.what}: {mutant.text}")
        killed, seconds = len(chosen) - survivors, time.monotonic() - started_s
        say(f"{name}: {len(chosen)} mutants, {killed} killed, {survivors} survived, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main())
