"""The glossary defines our terms, and every link to it leads to one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^## (.+)\n\n((?:(?!## ).*\n?)+)", GLOSSARY, flags=re.MULTILINE))
ANCHORS = {re.sub(r"[^\w -]", "", term).lower().replace(" ", "-") for term in ENTRIES}
"""As GitHub and the site make them."""

TERMS = """
ActionFormer, Action Sensitivity Learning (ASL), Annotations, Backbone, Baseline, Candidate, Checkpoint, Clip,
Clip plan, Contrastive loss, Converter, Decoder, Detection, Extraction spec, Feature, Feature grid, Feature store,
Feature stream, Ledger, Manifest, mAP, Point, Positive, Prediction, Preset, Protocol, Pyramid level, Recipe,
Regression range, Run, Segment, Sensitivity, Split, tIoU, Video id, Vocabulary, Window and stride
"""
SOURCES = [
    ROOT / "README.md",
    *(ROOT / "docs").rglob("*.md"),
    *(path for folder in ("asl_kit", "extract", "train", "evaluate") for path in (ROOT / folder).rglob("*.py")),
]
PAGES = sorted({path.stem for path in (ROOT / "docs").glob("*.md")} - {"glossary"})


def linked_anchors(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    own = r"\]\(#([\w-]+)\)" if path.name == "glossary.md" else r"(?!)"
    return re.findall(r"glossary\.md#([\w-]+)", text) + re.findall(own, text)


@pytest.mark.parametrize("term", re.split(r",\s+", TERMS.strip()))
def test_a_term_is_defined_in_a_few_sentences(term: str) -> None:
    assert 30 < len(ENTRIES[term]) < 700


def test_the_terms_are_in_order() -> None:
    assert list(ENTRIES) == sorted(ENTRIES, key=str.lower)


def test_every_link_leads_to_a_term() -> None:
    links = {(path.relative_to(ROOT).as_posix(), anchor) for path in SOURCES for anchor in linked_anchors(path)}
    assert len(links) > 40
    assert [link for link in sorted(links) if link[1] not in ANCHORS] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_to_the_glossary(page: str) -> None:
    assert "](glossary.md" in (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
