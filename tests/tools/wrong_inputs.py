"""What two checkouts say to the same mistakes: a Markdown table of the cases of `helpers.wrong_inputs`.

    python tests/tools/wrong_inputs.py --before PATH [--name PART] > table.md

The commands run with the packages of each checkout. In place of the message that is expected, the last line of a kind
that asl-kit prints is shown. Exit code 1 if this checkout does not say what the case expects.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.wrong_inputs import CASES, Case

ROOT = Path(__file__).parents[2]
KINDS = ("error: ", "warning: ", "remark: ", "failed: ", "Error: ", "Traceback")
LONGEST = 240


def run_case(case: Case, checkout: Path, folder: Path) -> tuple[int, str]:
    """Run a case in a checkout; return the exit code and the line that says most about it."""
    packages = [str(checkout / part) for part in ("", "extract", "train", "evaluate")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*packages, "."])}
    *before, last = case.steps
    for step in before:
        if callable(step):
            step(folder)
        else:
            code, text = _run(_command(str(step)), folder, environment)
            if code:
                return code, f"(already in `{step}`) {_line(text, '')}"
    assert isinstance(last, str)
    code, text = _run((case.shell or "{command}").replace("{command}", _command(last)), folder, environment)
    page = folder / (case.page or "")
    if page.is_file():
        text = re.sub(r"<[^>]*>", "\n", page.read_text(encoding="utf-8").split("<script")[0])
    return code, _line(text, case.message)


def _command(arguments: str) -> str:
    return f"{shlex.quote(sys.executable)} -m asl_kit {arguments}"


def _run(command: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, check=False, timeout=300
    )
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def _line(text: str, message: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    expected = [line for line in lines if message and message in line]
    said = expected or [line for line in lines if line.startswith(KINDS)][-1:] or lines[-1:] or ["(nothing)"]
    if said[0].startswith("Traceback"):
        said = [f"Traceback: {lines[-1]}"]
    return said[0]


def cell(code: int, line: str) -> str:
    """Return the cell of a table."""
    short = line if len(line) <= LONGEST else line[: LONGEST - 4] + " ..."
    return f"{code}: " + short.replace("|", "\\|").replace("<", "&lt;")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="another checkout")
    parser.add_argument("--name", default="", help="only the cases whose names contain this")
    arguments = parser.parse_args()
    checkouts = [*([arguments.before.resolve()] if arguments.before else []), ROOT]
    write = sys.stdout.write
    write("| mistake |" + " before |" * (len(checkouts) - 1) + " now |\n|" + "---|" * (len(checkouts) + 1) + "\n")
    wrong = []
    for case in CASES:
        if arguments.name not in case.name:
            continue
        cells = []
        for checkout in checkouts:
            with tempfile.TemporaryDirectory() as folder:
                code, line = run_case(case, checkout, Path(folder))
            cells.append(cell(code, line))
        write(f"| {case.name} | {' | '.join(cells)} |\n")
        sys.stdout.flush()
        if code != case.exit_code or case.message not in line:
            wrong.append(case.name)
    if wrong:
        sys.exit(f"not what is expected: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
