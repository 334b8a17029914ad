"""What docs/plugins.md says of entry points is that of the examples and of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import asl_evaluate.protocols
import asl_extract.backbones
import asl_kit.annotations.conversion
import asl_kit.model.loss_terms

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
GROUPS = {
    "example_backbone": asl_extract.backbones.ENTRY_POINT_GROUP,
    "example_converter": asl_kit.annotations.conversion.ENTRY_POINT_GROUP,
    "example_loss": asl_kit.model.loss_terms.ENTRY_POINT_GROUP,
    "example_protocol": asl_evaluate.protocols.ENTRY_POINT_GROUP,
}


def test_every_example_has_a_row() -> None:
    assert {path.name for path in (ROOT / "tests").glob("example_*")} == set(GROUPS)
    rows = re.findall(r"^\| .*`(asl_kit\.\w+)` .*`tests/(\w+)` \|$", PAGE, flags=re.MULTILINE)
    assert {example: group for group, example in rows} == GROUPS


@pytest.mark.parametrize("example", GROUPS)
def test_examples_and_page_use_the_group(example: str) -> None:
    project = tomllib.loads((ROOT / "tests" / example / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert list(project["entry-points"]) == [GROUPS[example]]
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)]
    shown = [block["project"]["entry-points"] for block in blocks if "project" in block]
    assert GROUPS[example] in {group for entry_points in shown for group in entry_points}
