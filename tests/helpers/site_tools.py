"""The tools that make the documentation site, which are not a package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

SITE = Path(__file__).parents[2] / "docs" / "site"


def load_site_tool(name: str) -> ModuleType:
    """Import a module of `docs/site`."""
    if str(SITE) not in sys.path:
        sys.path.append(str(SITE))
    return importlib.import_module(name)
