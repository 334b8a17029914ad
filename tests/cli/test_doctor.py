"""`asl-kit doctor` where packages fail, crash or hang; tests/integration/test_release.py runs it where all is well."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from asl_kit.cli import main
from asl_kit.environment import import_probes


@pytest.fixture
def replace_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that puts a module of this code before the installed one, in the probes' process only."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda name, code: (tmp_path / f"{name}.py").write_text(code)


def run(*arguments: str) -> tuple[Result, dict[str, Any]]:
    result = CliRunner().invoke(main, ["doctor", "--json", "-", *arguments])
    return result, {check["check"]: check for check in json.loads(result.stdout)["checks"]}


def test_packages_that_fail_crash_or_speak(replace_package: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs its own line, and the rest is looked at; torch hangs, and what needs it is not waited for."""
    replace_package("av", "import os; os.abort()")
    replace_package("msgspec", "raise SystemExit(0)")
    replace_package("yaml", 'print(\'{"zarr": {"fault": "said by another"}}\')')
    replace_package("torch", "import time; time.sleep(1000)")
    monkeypatch.setattr(import_probes.run_probes, "__kwdefaults__", {"limit_s": 3.0})
    result, checks = run()
    assert result.exit_code == 1
    broken = {name: check["found"] for name, check in checks.items() if check["verdict"] == "broken"}
    assert broken["av"].endswith("the process ended with signal 6")
    assert broken["msgspec"].endswith("does not load: SystemExit: 0")
    assert broken["torch"].endswith("does not return within 3 s")
    assert broken["torchvision"].endswith("does not load: PyTorch does not load")
    assert broken["decoder pyav"] == "the process ended with signal 6"
    assert {"zarr", "pyyaml", "numpy"} <= set(checks["packages"]["found"].replace(",", "").split())


@pytest.mark.parametrize("rich_loads", [True, False], ids=["table", "lines"])
def test_text(rich_loads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from asl_kit.environment import Check, Verdict

    found = [Check("one", "a [b] c"), Check("two", "gone", Verdict.BROKEN, "pip install two")]
    monkeypatch.setattr("asl_kit.cli.doctor.examine", lambda: found)
    if not rich_loads:
        monkeypatch.setitem(sys.modules, "rich.table", None)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "a [b] c" in result.stdout
    assert ("broken: two: gone -> pip install two" in result.stdout) != rich_loads
    assert ("│ two" in result.stdout) == rich_loads
