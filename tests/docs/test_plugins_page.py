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
def test_page_shows_an_entry_point_of_each_group(example: str) -> None:
    own = tomllib.loads((ROOT / "tests" / example / "pyproject.toml").read_text(encoding="utf-8"))
    blocks = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)]
    (shown,) = (block["project"]["entry-points"] for block in blocks if GROUPS[example] in str(block))
    assert list(own["project"]["entry-points"]) == list(shown) == [GROUPS[example]]
    if example in ("example_backbone", "example_converter"):  # of the others, the page shows smaller ones
        assert own["project"]["entry-points"] == shown
