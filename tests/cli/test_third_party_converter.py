"""Converters of other packages: found by their entry point, and their failures told from ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import Result
from helpers.command_line import run

from asl_kit.annotations import read_annotations
from asl_kit.annotations.conversion import converter_names

EXAMPLE = Path(__file__).parents[1] / "example_converter"
NOTES = "# dull weather\nlength 42.5\n\n3.5-8 heron lands\n10-12.5 ?\n20-21 heron\n"
MODULE = "from asl_kit.annotations.collector import *\n\ndef convert(sources, *, manifest, report):\n    "

Offer = Callable[..., None]


@pytest.fixture
def offer(offer_entry_point: Offer) -> Offer:
    return partial(offer_entry_point, group="asl_kit.converters", target="convert", name="other")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "pond 1.txt"
    path.write_text(NOTES)
    return path


def convert(name: str, source: Path, *arguments: str, before: tuple[str, ...] = ()) -> Result:
    output = source.parent / "out.json"
    return run(*before, "convert", name, source, "-o", output, *arguments)


def check_notes(path: Path) -> None:
    annotations = read_annotations(path)
    video = annotations.videos["pond 1"]
    assert (annotations.dataset, annotations.source.converter, video.duration) == ("fieldnotes", "fieldnotes", 42.5)
    assert [(item.start, item.end, item.labels["action"]) for item in video.segments or ()] == [
        (3.5, 8.0, "heron lands"),
        (20.0, 21.0, "heron"),
    ]
    assert [(item.start, item.end, item.reason) for item in video.ignored] == [(10.0, 12.5, "unclear")]


def test_example_converts(offer: Offer, notes: Path) -> None:
    code = (EXAMPLE / "src" / "fieldnotes_asl_kit" / "__init__.py").read_text(encoding="utf-8")
    offer(code, name="fieldnotes", module="fieldnotes_asl_kit")
    assert "fieldnotes" in converter_names()
    result = convert("fieldnotes", notes, "--strict")
    assert (result.exit_code, result.stderr) == (0, f"wrote {notes.parent / 'out.json'}\n")
    check_notes(notes.parent / "out.json")


def test_example_refuses_what_is_wrong_in_one_message(offer: Offer, notes: Path) -> None:
    code = (EXAMPLE / "src" / "fieldnotes_asl_kit" / "__init__.py").read_text(encoding="utf-8")
    offer(code, name="fieldnotes", module="fieldnotes_asl_kit")
    notes.write_text("length long\n8-3.5 heron\nheron\n1-x heron\n")
    result = convert("fieldnotes", notes)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "error: 4 errors"
    assert [f"{notes}:{line}: video 'pond 1': " in result.stderr for line in (1, 2, 3, 4)] == [True] * 4


@pytest.mark.parametrize(
    ("statement", "said"), [("raise SystemExit(0)", "SystemExit: 0"), ("raise ValueError", "ValueError")]
)
def test_exit_and_exceptions_without_words_are_named(offer: Offer, notes: Path, statement: str, said: str) -> None:
    offer(MODULE + statement)
    result = convert("other", notes)
    assert result.exit_code == 1
    message = f"error: the converter 'other' of the package other-package failed: {said}"
    assert result.stderr.splitlines()[0] == message


def test_unexpected_exception_is_one_message_that_names_the_package(offer: Offer, notes: Path) -> None:
    offer(MODULE + "return {}['frames']\n")
    result = convert("other", notes)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error: the converter 'other' of the package other-package failed: KeyError: 'frames'",
        "hint: Send its authors the output of `asl-kit --debug convert ...`.",
    ]
    assert not (notes.parent / "out.json").exists()
    assert "return {}['frames']" in convert("other", notes, before=("--debug",)).stderr


RESULTS = {
    "nothing": ("pass", "must return an AnnotationSet, found None"),
    "plain data": ("return {'videos': {}}", "must return an AnnotationSet, found {'videos': {}}"),
}


@pytest.mark.parametrize(("code", "message"), RESULTS.values(), ids=RESULTS)
def test_result_that_is_no_annotation_set(offer: Offer, notes: Path, code: str, message: str) -> None:
    offer(MODULE + code + "\n")
    result = convert("other", notes)
    assert result.exit_code == 1
    assert result.stderr == f"error: the converter 'other' of the package other-package {message}\n"
    assert not (notes.parent / "out.json").exists()


LOSSY = """collector = Collector(report, mend=False)
    collector.video("a", "x", duration=9.0)
    collector.segment("a", "x", start=1, end=2, labels={"action": "run"})
    report.segments_read += 2  # read, and neither kept nor reported
    return collector.finish(sources, dataset="other")
"""


def test_lost_items_are_found_out(offer: Offer, notes: Path) -> None:
    offer(MODULE + LOSSY)
    result = convert("other", notes)
    difference = "3 segments read, but 1 kept and 0 reported as left out"
    assert (result.exit_code, f"difference: {difference}" in result.stdout) == (0, True)
    strict = convert("other", notes, "--strict")
    assert (strict.exit_code, difference in strict.stderr) == (1, True)


IMPORTS = {
    "module missing": ("import not_there", "cannot be loaded: No module named 'not_there'"),
    "no function": ("x = 1", "cannot be loaded: module 'other_package' has no attribute 'convert'"),
    "not Python": ("def", "cannot be loaded: invalid syntax"),
    "raises": ("raise RuntimeError('no licence')", "cannot be loaded: no licence"),
}


@pytest.mark.parametrize(("code", "message"), IMPORTS.values(), ids=IMPORTS)
def test_package_that_cannot_be_imported(offer: Offer, notes: Path, code: str, message: str) -> None:
    offer(code)
    result = convert("other", notes)
    assert result.exit_code == 1
    start = "error: the converter 'other' (other_package:convert) of the package other-package "
    assert result.stderr.startswith(start + message)


def test_its_own_errors_and_missing_files_pass_as_they_are(offer: Offer, notes: Path) -> None:
    offer("from asl_kit.errors import UsageError\n" + MODULE + "raise UsageError('two files, please')\n")
    result = convert("other", notes)
    assert (result.exit_code, result.stderr) == (2, "error: two files, please\n")
    offer(MODULE + "open(sources[0].parent / 'absent')\n", name="opens", module="opens_files")
    assert convert("opens", notes).stderr == f"error: {notes.parent / 'absent'}: No such file or directory\n"


def test_two_packages_of_one_name(offer: Offer, notes: Path) -> None:
    offer(MODULE + "pass\n", module="first_package")
    offer(MODULE + "pass\n", module="second_package")
    result = convert("other", notes)
    assert result.exit_code == 2
    places = "first-package (first_package:convert), second-package (second_package:convert)"
    assert f"2 packages provide a converter 'other': {places}\nhint: Uninstall all but one." in result.stderr


def test_list_shows_a_broken_package_too(offer: Offer) -> None:
    offer("raise RuntimeError('no licence')")
    result = run("convert --list")
    assert (result.exit_code, "no licence" in " ".join(result.stdout.split())) == (0, True)


def test_list_shows_the_others_beside_what_is_no_converter(offer: Offer) -> None:
    offer("convert = 5")
    result = run("convert --list")
    assert result.exit_code == 0, result.output
    assert "must be a function, found 5" in " ".join(result.stdout.split())
    assert "thumos14" in result.stdout


def test_list_shows_the_others_beside_two_of_one_name(offer: Offer) -> None:
    offer(MODULE + "pass", module="first_package")
    offer(MODULE + "pass", module="second_package")
    result = run("convert --list")
    assert result.exit_code == 0, result.output
    assert "2 packages provide a converter 'other'" in " ".join(result.stdout.split())


@pytest.mark.slow
def test_example_installs_and_converts(tmp_path: Path, notes: Path) -> None:
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(EXAMPLE)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=280)
    output = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", "asl_kit", "convert", "fieldnotes", str(notes), "-o", str(output), "--strict"],
        env=os.environ | {"PYTHONPATH": str(target)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    check_notes(output)
    assert json.loads(output.read_text())["source"]["files"][0]["name"] == "pond 1.txt"
