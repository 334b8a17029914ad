"""Write docs/licences.md: the licence of every package that asl-kit asks for, as its own metadata states it.

``python docs/make_licences.py > docs/licences.md``, where asl-kit is installed with all extras.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_FOR_USERS = ("dev", "docs", "test")

HEAD = """# Licences

asl-kit itself is under Apache-2.0. pip installs these packages beside it, none of which is part of its
files; the licences are those that the packages' metadata states. Written by `docs/make_licences.py`.

| package | needed for | licence |
|---|---|---|
"""

FOOT = """
Wheels carry more than their own code: `av`'s FFmpeg is built with x264 (GPL), that of `decord` and of
`opencv-contrib-python-headless` is another build; `torch` and `torchcodec` for GPUs use NVIDIA's libraries.
Each is under its own terms.

## Weights and data

asl-kit ships no weights and no data. `--weights default` downloads a backbone's weights from its publisher:
the table in [backbones.md](backbones.md). Weights trained on Kinetics, ImageNet or ActivityNet may not be for
every use, whatever the licence of the code that reads them: ask the publisher. The licence of a dataset stands
in its manifest (`licence`).
"""

STATED_ELSEWHERE = {"torchcodec": "BSD-3-Clause (its README)"}


def packages() -> dict[str, str]:
    """Return what each direct dependency is needed for, by its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    uses = dict.fromkeys(map(_name, project["dependencies"]), "always")
    for extra, lines in project["optional-dependencies"].items():
        if extra not in NOT_FOR_USERS:
            uses |= dict.fromkeys(map(_name, lines), f"the extra `{extra}`")
    return dict(sorted(uses.items()))


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return found[0]


def licence_of(package: str) -> str:
    """Return the licence that an installed package states: an SPDX expression, else its field or classifiers."""
    metadata = importlib.metadata.metadata(package)
    classified = [
        line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or () if line.startswith("License ::")
    ]
    field = (metadata["License"] or "").strip()
    short = field if field and len(field) < 60 and "\n" not in field else ""
    return metadata["License-Expression"] or short or ", ".join(classified) or STATED_ELSEWHERE[package]


def text() -> str:
    """Return the document."""
    rows = [f"| `{package}` | {use} | {licence_of(package)} |" for package, use in packages().items()]
    return HEAD + "\n".join(rows) + "\n" + FOOT


if __name__ == "__main__":
    sys.stdout.write(text())
