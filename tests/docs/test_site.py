"""The documentation site: everything on it is found, made of facts, and it works without a network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.browser import Browser
from helpers.site_tools import SITE, load_site_tool

import asl_kit
from asl_kit.cli import COMMANDS
from asl_kit.manifests.files import load_manifest, manifest_paths

DOCS = SITE.parent


@pytest.fixture(scope="module")
def build():
    pytest.importorskip("zensical", reason="pip install -e '.[docs]'")
    return load_site_tool("build")


@pytest.fixture(scope="module")
def front_page(build, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build.assemble(folder)
    return build.render(folder)


def test_the_site_is_built_without_a_warning(front_page):
    pages = {path.relative_to(front_page.parent).as_posix() for path in front_page.parent.rglob("*.html")}
    assert pages >= {"index.html", "concepts.html", "method.html", "faq.html", "commands.html", "api.html"}
    assert pages >= {f"dataset/{name}.html" for name in manifest_paths()}


def test_no_page_asks_the_network_for_anything(front_page):
    for page in front_page.parent.rglob("*.html"):
        asked = re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"?(https?:[^\" >]+)", page.read_text("utf-8")
        )
        assert not asked, page


def test_what_leads_nowhere_is_refused(build, tmp_path):
    build.assemble(tmp_path)
    with (tmp_path / "pages" / "concepts.md").open("a", encoding="utf-8") as page:
        page.write("\n[a](nothing.md) [b](faq.md#nothing)\n")
    (tmp_path / "pages" / "api.md").write_text("# API\n\n::: asl_kit.grid.Nothing\n", encoding="utf-8")
    with pytest.raises(build.SiteError) as caught:
        build.render(tmp_path)
    message = str(caught.value)
    assert re.search(r"page does not exist\s+╭─\[ concepts\.md", message)
    assert re.search(r"anchor does not exist\s+╭─\[ concepts\.md", message)
    assert "Could not collect 'asl_kit.grid.Nothing'" in message


def test_a_page_that_is_not_in_the_navigation_is_refused(build, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "dataset_pages", dict)
    monkeypatch.setattr(build, "command_page", lambda: "# Commands\n")
    monkeypatch.setattr(build, "_expand", lambda entries, pages: entries[:1])
    with pytest.raises(build.SiteError, match=r"not in the navigation of docs/site/mkdocs\.yml: .*concepts\.md"):
        build.assemble(tmp_path / "site")


def test_the_page_of_commands_has_them_all():
    page = load_site_tool("command_page").command_page()
    assert re.findall(r"^## asl-kit (\S+)$", page, flags=re.MULTILINE) == sorted(COMMANDS)
    assert "### asl-kit store verify" in page


@pytest.mark.parametrize("name", asl_kit.__all__)
def test_the_page_of_the_api_has_what_the_package_offers(name):
    page = (SITE / "pages" / "api.md").read_text(encoding="utf-8")
    assert re.search(rf"^::: \S+\.{name}$", page, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def dataset_pages() -> dict[str, str]:
    return load_site_tool("dataset_pages").dataset_pages()


@pytest.mark.parametrize("name", manifest_paths())
def test_a_dataset_page_says_what_its_manifest_says(dataset_pages, name):
    page, manifest = dataset_pages[name], load_manifest(name)
    for text in (manifest.home, manifest.licence, f"`{manifest.protocol}`", *manifest.notes):
        assert text in page
    for split, expected in manifest.expected.items():
        assert re.search(
            rf"\| `{split}` \| {'not known' if expected.videos is None else f'{expected.videos:,}'} \|", page
        )
    for features in manifest.features:
        assert f"--preset {name}/{features}\n" in page
    for exclusion in manifest.exclusions:
        assert f"`{exclusion.video}` (`{exclusion.split}`): {exclusion.reason}." in page


def test_the_drawing_is_up_to_date():
    tool = load_site_tool("time_grid_drawing")
    assert tool.FILE.read_text(encoding="utf-8") == tool.drawing(), "run python docs/site/time_grid_drawing.py"


@pytest.mark.parametrize("page", ["concepts.md"])
def test_the_examples_in_python_run(page):
    (example,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    exec(example, {})


@pytest.mark.slow
@pytest.mark.parametrize(("dark", "background"), [(False, 255), (True, 30)], ids=["light", "dark"])
def test_pages_opened_from_disk_are_drawn_in_the_systems_colours(front_page, tmp_path, dark, background):
    with Browser(tmp_path / "profile") as browser:
        for name in ("concepts", "dataset/thumos14", "api"):
            browser.open(front_page.parent / f"{name}.html", dark=dark)
            colour = browser.wait_for("getComputedStyle(document.body).backgroundColor")
            assert abs(int(re.findall(r"\d+", colour)[0]) - background) <= 30, colour
            assert browser.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)"), (
                name
            )
            assert browser.complaints() == [], name


@pytest.mark.slow
def test_pages_opened_from_disk_can_be_searched(front_page, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.open(front_page)
        browser.evaluate("document.querySelector('.md-search__button').click()")
        browser.wait_for("document.activeElement.shadowRoot?.activeElement?.tagName === 'INPUT'")
        browser.call("Input.insertText", text="soft-NMS")
        browser.wait_for("document.activeElement.shadowRoot.textContent.includes('From outputs to detections')")
        assert browser.complaints() == []
