"""Protocols of other packages: found by their entry point, checked, and their failures told from ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import Result
from helpers.command_line import run
from helpers.support import make_annotation_set

from asl_evaluate.options import ScoringOptions
from asl_evaluate.protocols import PROTOCOLS, built_in_entry, protocol_names
from asl_evaluate.scoring import evaluate_predictions, score
from asl_kit.annotations import write_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections
from asl_kit.errors import PluginError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "example_protocol"
CODE = (EXAMPLE / "src" / "segmental_asl_kit" / "__init__.py").read_text(encoding="utf-8")
CASES = json.loads((ROOT / "tests" / "reference" / "segmental_f1.json").read_text(encoding="utf-8"))

Offer = Callable[..., None]


@pytest.fixture
def offer(offer_entry_point: Offer) -> Offer:
    return partial(offer_entry_point, group="asl_kit.protocols", target="PROTOCOL", name="segmental-f1")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return predictions and annotations of two videos: a run that is found, and a jump that is found for a third."""
    rows = {"v1": ("test", [(0.0, 10.0, "run"), (20.0, 30.0, "jump")]), "v2": ("test", [(0.0, 4.0, "run")])}
    predictions, annotations = tmp_path / "p.json", tmp_path / "a.json"
    write_annotations(make_annotation_set(rows, ["jump", "run"]), annotations)
    found = [
        ("v1", 0, 9, "run", 0.9),
        ("v1", 5, 15, "jump", 0.8),  # overlaps the run
        ("v1", 25, 35, "jump", 0.7),
        ("v2", 1, 4, "run", 0.2),  # below the lowest score
    ]
    write_predictions(predictions, Detections.from_lists(found))
    return predictions, annotations


def evaluate(files: tuple[Path, Path], *arguments: object, before: tuple[str, ...] = ()) -> Result:
    return run(
        *before, "eval", "--predictions", files[0], "--annotations", files[1],
        "--protocol", "segmental-f1", *arguments,
    )  # fmt: skip


@pytest.mark.parametrize("code", [CODE, CODE.replace("PROTOCOL = Protocol(", "PROTOCOL = lambda: Protocol(")])
def test_example_scores(offer: Offer, files: tuple[Path, Path], code: str, tmp_path: Path) -> None:
    offer(code)
    assert protocol_names() == [*PROTOCOLS, "segmental-f1"]
    result = evaluate(files, "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.stderr
    assert "protocol segmental-f1 (other-package 1.0), split test" in result.stdout
    document = json.loads((tmp_path / "s.json").read_text())
    assert (document["protocol"], document["package"]) == ("segmental-f1", "other-package 1.0")
    assert document["tiou"] == [0.1, 0.25, 0.5]
    # 2 predictions, 3 segments: both are right at tIoU 0.25, one at 0.5
    expected = {"F1@10": 4 / 5, "F1@25": 4 / 5, "F1@50": 2 / 5}
    assert {name: figure["mean"] for name, figure in document["figures"].items()} == pytest.approx(expected)
    scores = evaluate_predictions(*files, ScoringOptions(protocol="segmental-f1"))
    assert scores.to_json() == document


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_example_is_the_published_score(offer: Offer, case: dict[str, list[list[list[object]]]]) -> None:
    offer(CODE)
    rows = {
        f"v{n}": ("test", [(start, end, label) for label, start, end in video]) for n, video in enumerate(case["truth"])
    }
    found = [
        (f"v{n}", start, end, label, 0.5) for n, video in enumerate(case["predictions"]) for label, start, end in video
    ]
    annotations = make_annotation_set(rows, ["cut", "mix", "pour"])
    scores = score(Detections.from_lists(found), annotations, ScoringOptions(protocol="segmental-f1"))
    assert {name: metric.mean for name, metric in scores.metrics.items()} == pytest.approx(case["f1"], abs=1e-12)


def test_documented_protocol_scores(offer: Offer, files: tuple[Path, Path], tmp_path: Path) -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "PROTOCOL =" in block)
    offer(code, name="hit-rate")
    result = evaluate(files, "--protocol", "hit-rate", "--json", tmp_path / "s.json")
    assert result.exit_code == 0, result.stderr
    document = json.loads((tmp_path / "s.json").read_text())
    # The highest tIoU of the three segments: 9/10, 5/15 and 3/4, at 0.1, 0.3, 0.5, 0.7 and 0.9.
    rates = [1, 1, 2 / 3, 2 / 3, 1 / 3]
    assert document["recall"]["hit rate"] == {"mean": pytest.approx(11 / 15), "per_tiou": pytest.approx(rates)}
    assert "hit rate (%)" in result.stdout


def test_report_names_the_package(offer: Offer, files: tuple[Path, Path], tmp_path: Path) -> None:
    offer(CODE)
    out = tmp_path / "report.html"
    result = run(
        "report", "--predictions", files[0], "--annotations", files[1], "-o", out, "--protocol", "segmental-f1"
    )
    assert result.exit_code == 0, result.stderr
    page = out.read_text(encoding="utf-8")
    assert "protocol segmental-f1 (other-package 1.0)" in page
    assert "F1@25 (%)" in page


FAILURES = {
    "module missing": ("import not_there", "cannot be loaded: No module named 'not_there'"),
    "no PROTOCOL": ("x = 1", "cannot be loaded: module 'other_package' has no attribute 'PROTOCOL'"),
    "raises": ("raise RuntimeError('no licence')", "cannot be loaded: no licence"),
    "function raises": ("def PROTOCOL(): return {}['x']", "cannot be loaded: KeyError: 'x'"),
    "something else": ("PROTOCOL = 'f1'", "must be a Protocol or return one, found 'f1'"),
    "another name": (
        CODE.replace('name="segmental-f1"', 'name="f1"'),
        "must have the same name in its Protocol, found 'f1'",
    ),
    "nothing to call": (
        CODE.replace("    score=score,", "    score=None,"),
        "cannot be loaded: score of a Protocol must be a function, found None",
    ),
    "wrong thresholds": (
        CODE.replace("tiou=(0.1, 0.25, 0.5)", "tiou=(25,)"),
        "cannot be loaded: tiou: expected thresholds in (0, 1], found [25.0]",
    ),
    "thresholds of moments": (
        CODE.replace("tiou=(0.1, 0.25, 0.5)", "tiou='0.1:0.5:0.1', by_frame=True"),
        "cannot be loaded: a Protocol that scores by_frame has no thresholds",
    ),
}


@pytest.mark.parametrize(("code", "message"), FAILURES.values(), ids=FAILURES)
def test_what_cannot_be_loaded_is_one_message_and_listed_with_its_reason(
    offer: Offer, files: tuple[Path, Path], code: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(code)
    result = evaluate(files)
    assert (result.exit_code, result.stdout) == (1, "")
    who = "error: the protocol 'segmental-f1' (other_package:PROTOCOL) of the package other-package "
    assert result.stderr.startswith(who + message)
    monkeypatch.setenv("COLUMNS", "300")
    listed = run("eval --list-protocols")
    assert listed.exit_code == 0, listed.output
    row = next(line for line in listed.stdout.splitlines() if "segmental-f1" in line)
    assert "other-package 1.0" in row
    assert message in row
    assert "activitynet" in listed.stdout


def returning(changes: str) -> str:
    """Return the example with other fields in the scores that it returns."""
    start = CODE.index("    return Scores(")
    end = CODE.index("\n\n\ndef non_overlapping")
    code = CODE[start:end].replace("return Scores(", "result = Scores(")
    return CODE[:start] + code + f"\n    from dataclasses import replace\n    return {changes}" + CODE[end:]


RETURNED = {
    "nothing": (returning("None"), "Scores, found None"),
    "plain data": (returning("{'mAP': 0.5}"), "Scores, found {'mAP': 0.5}"),
    "no thresholds": (
        returning("replace(result, tiou_thresholds=())"),
        "the tiou_thresholds of its scores, or be by_frame, found ()",
    ),
    "thresholds of moments": (
        CODE.replace("tiou=(0.1, 0.25, 0.5)", "by_frame=True"),
        "no tiou_thresholds, because it is by_frame, found (",
    ),
    "no score": (returning("replace(result, metrics={})"), "mean_average_precision, recall or metrics, found none"),
    "not a number": (
        returning("replace(result, metrics={'F1': Metric(float('nan'))})"),
        "floats in [0, 1] as metrics['F1'].mean, found nan",
    ),
    "per cent": (
        returning("replace(result, mean_average_precision=(50.0, 40.0, 30.0))"),
        "floats in [0, 1] as mean_average_precision, found 50.0",
    ),
    "array": (
        returning("replace(result, metrics={'F1': Metric(np.float32(0.5))})"),
        "floats in [0, 1] as metrics['F1'].mean, found np.float32(0.5)",
    ),
    "too few": (
        returning("replace(result, mean_average_precision=(0.5,))"),
        "0 or 3 values of mean_average_precision, one for each of its thresholds, found 1",
    ),
    "too few in a metric": (
        returning("replace(result, recall={'R': Metric(0.5, (0.5, 0.5))})"),
        "0 or 3 values of recall['R'].per_tiou, one for each of its thresholds, found 2",
    ),
    "no coverage": (returning("replace(result, coverage=None)"), "the coverage of the prepared task, found None"),
    "another split": (returning("replace(result, split='val')"), "the split 'test' and a vocabulary, found 'val'"),
    "wrong types": (
        returning("replace(result, mean_average_precision=0.5)"),
        "Scores whose fields have the types of its class, found TypeError: object of type 'float' has no len()",
    ),
    "an array of scores": (
        returning("replace(result, mean_average_precision=np.ones(3))"),
        "Scores whose fields have the types of its class, found ValueError: The truth value of an array",
    ),
    "wrong part": (
        returning("replace(result, parts={'verb': replace(result, metrics={})})"),
        "mean_average_precision, recall or metrics, found none of them (in parts['verb'])",
    ),
}


@pytest.mark.parametrize(("code", "message"), RETURNED.values(), ids=RETURNED)
def test_what_it_returns_is_checked(
    offer: Offer, files: tuple[Path, Path], code: str, message: str, tmp_path: Path
) -> None:
    offer(code)
    result = evaluate(files, "--out", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (1, "")
    who = "error: the protocol 'segmental-f1' of the package other-package must return "
    assert result.stderr.startswith(who + message), result.stderr
    assert not (tmp_path / "out").exists()


def test_exception_is_one_message_that_names_the_package(offer: Offer, files: tuple[Path, Path]) -> None:
    offer(CODE.replace("prepared = prepare(task)", "prepared = {}['frames']"))
    result = evaluate(files)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "error: the protocol 'segmental-f1' of the package other-package failed: KeyError: 'frames'",
        "hint: Send its authors the output of `asl-kit --debug eval ...`.",
    ]
    assert "{}['frames']" in evaluate(files, before=("--debug",)).stderr
    with pytest.raises(PluginError, match="of the package other-package failed: KeyError"):
        evaluate_predictions(*files, ScoringOptions(protocol="segmental-f1"))


def test_two_packages_of_one_name(offer: Offer, files: tuple[Path, Path]) -> None:
    offer(CODE, module="first_package")
    offer(CODE, module="second_package")
    result = evaluate(files)
    assert result.exit_code == 2
    places = "first-package (first_package:PROTOCOL), second-package (second_package:PROTOCOL)"
    assert f"2 packages provide a protocol 'segmental-f1': {places}\nhint: Uninstall all but one." in result.stderr
    listed = run("eval --list-protocols")
    assert (listed.exit_code, "2 packages provide" in " ".join(listed.stdout.split())) == (0, True)


def test_a_name_of_ours(offer: Offer, files: tuple[Path, Path]) -> None:
    built_in_entry.cache_clear()
    offer(CODE, name="thumos14")
    result = evaluate(files, "--protocol", "thumos14")
    assert result.exit_code == 2
    who = "error: the package other-package (other_package:PROTOCOL) provides a protocol 'thumos14'"
    assert result.stderr.startswith(f"{who}, which asl-kit also has")
    assert evaluate(files, "--protocol", "activitynet").exit_code == 0, "other protocols still work"


def test_unknown_names_list_it_too(offer: Offer, files: tuple[Path, Path]) -> None:
    offer(CODE)
    result = evaluate(files, "--protocol", "f1")
    assert result.exit_code == 2
    assert "unknown protocol 'f1', expected one of: activitynet" in result.stderr
    assert "epic-kitchens, segmental-f1" in result.stderr


def test_list_shows_protocol_package_and_summary(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(CODE)
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("eval", "report"):
        listed = run(f"{command} --list-protocols").stdout.splitlines()
        assert {line.split()[0] for line in listed if "asl-kit 0." in line} == set(PROTOCOLS)
        row = next(line for line in listed if "segmental-f1" in line)
        assert row.split(None, 3)[1:3] == ["other-package", "1.0"]
        assert "segmental F1@10, 25 and 50, as in action segmentation" in row


@pytest.mark.slow
def test_example_installs_and_scores(tmp_path: Path, files: tuple[Path, Path]) -> None:
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(EXAMPLE)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=280)
    arguments = ["--predictions", str(files[0]), "--annotations", str(files[1]), "--protocol", "segmental-f1"]
    done = subprocess.run(
        [sys.executable, "-m", "asl_kit", "eval", *arguments, "--json", "-"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["package"], document["figures"]["F1@50"]["mean"]) == ("segmental-asl-kit 1.0.0", 0.4)
