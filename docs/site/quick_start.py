"""Write what the commands of `docs/quick-start.md` print into the page: `python docs/site/quick_start.py`.

Every ``bash`` block but the first, which installs asl-kit, is run in one new folder. The ``text`` block that follows it
is replaced by its output.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[1] / "quick-start.md"
_BLOCK = re.compile(r"```bash\n(?P<commands>.*?)```\n(?:\n```text\n(?P<output>.*?)```\n)?", flags=re.DOTALL)
_PROGRESS = re.compile(r"^\w+( \w+)? [\d.]+/\d+( .*)?\n", flags=re.MULTILINE)


def _all_blocks() -> list[tuple[str, str]]:
    return [(block["commands"], block["output"] or "") for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def install() -> str:
    """Return the command of the first block, which is not run."""
    return _all_blocks()[0][0]


def blocks() -> list[tuple[str, str]]:
    """Return the commands and the shown output of every block that is run."""
    return _all_blocks()[1:]


def run(folder: Path) -> Iterator[str]:
    """Run the blocks in a folder, and yield what each prints, without progress.

    Raises
    ------
    RuntimeError
        If a block fails.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONUNBUFFERED": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment.pop("COLUMNS", None)  # as wide as in a pipe
    for commands, _ in blocks():
        done = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{commands}\n{done.stdout}")
        lines = [line.rstrip() for line in _PROGRESS.sub("", done.stdout).splitlines()]
        yield "".join(f"{line}\n" for line in lines).strip("\n") + "\n" * any(lines)


def main() -> None:
    """Rewrite the page."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = iter(["", *run(Path(folder))])

    def with_output(block: re.Match[str]) -> str:
        output = next(outputs)
        return f"```bash\n{block['commands']}```\n" + (f"\n```text\n{output}```\n" if output else "")

    PAGE.write_text(_BLOCK.sub(with_output, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
