"""The list of licences names every package that asl-kit asks for, and what asks for it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_no_direct_dependency_is_missing() -> None:
    spec = importlib.util.spec_from_file_location("make_licences", DOCS / "make_licences.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \| (.+) \|$", (DOCS / "licences.md").read_text(), flags=re.MULTILINE)
    assert {package: use for package, use, _ in rows} == script.packages()
    assert all(licence.strip() for _, _, licence in rows)
    assert script.licence_of("numpy").startswith("BSD-3-Clause")
