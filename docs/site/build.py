"""Build the documentation site: `python docs/site/build.py`, then open `build/docs/html/index.html`.

Pages come from four places: README.md (the front page) and CHANGELOG.md; `docs/*.md`, which are
also read on GitHub; `docs/site/pages`, which only make sense on the site; and pages that are
generated here, one for each manifest and one for the commands. They are copied into one folder, from which
Zensical makes the site. Any warning fails the build: a broken link or anchor, a page that is not in
the navigation, a name of the Python API that does not exist.

Needs `pip install -e '.[docs]'`, and no network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import yaml

SITE = Path(__file__).resolve().parent
ROOT = SITE.parents[1]
sys.path.insert(0, str(SITE))

from command_page import command_page  # noqa: E402
from dataset_pages import dataset_pages  # noqa: E402


class SiteError(Exception):
    """The site cannot be built as it is."""


def assemble(folder: Path) -> None:
    """Write the pages, their images and styles, and the configuration of the site into a folder, replacing it."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    shutil.copytree(SITE.parent, pages, ignore=shutil.ignore_patterns("site", "*.py", "__pycache__"))
    shutil.copytree(SITE / "pages", pages, dirs_exist_ok=True)
    shutil.copytree(SITE / "assets", pages / "assets")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    texts = {
        "index.md": re.sub(r"\]\(docs/", "](", readme).replace("](CHANGELOG.md)", "](changelog.md)"),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "commands.md": command_page(),
        **{f"dataset/{name}.md": text for name, text in dataset_pages().items()},
    }
    for name, text in texts.items():
        (pages / name).parent.mkdir(exist_ok=True)
        (pages / name).write_text(text, encoding="utf-8")
    config = yaml.safe_load((SITE / "mkdocs.yml").read_text(encoding="utf-8"))
    config["nav"] = _expand(config["nav"], pages)
    listed = set(_listed(config["nav"]))
    if unlisted := sorted(set(_page_names(pages)) - listed):
        raise SiteError(f"not in the navigation of docs/site/mkdocs.yml: {', '.join(unlisted)}")
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def render(folder: Path) -> Path:
    """Make the site of an assembled folder, and return its front page.

    Raises
    ------
    SiteError
        With all warnings, if there are any.
    """
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    # Zensical only logs the warnings of the docstring parser.
    if done.returncode or re.search(r"warning", said, flags=re.IGNORECASE):
        raise SiteError(said.strip())
    return folder / "html" / "index.html"


def _page_names(pages: Path) -> list[str]:
    return sorted(path.relative_to(pages).as_posix() for path in pages.rglob("*.md"))


def _expand(entries: list[Any], pages: Path) -> list[Any]:
    """Return the navigation with every pattern such as `dataset/*.md` replaced by the pages that match."""
    expanded: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            ((title, below),) = entry.items()
            expanded.append({title: _expand(below, pages) if isinstance(below, list) else below})
        elif "*" in entry:
            expanded += sorted(path.relative_to(pages).as_posix() for path in pages.glob(entry))
        else:
            expanded.append(entry)
    return expanded


def _listed(entries: list[Any]) -> list[str]:
    names: list[str] = []
    for entry in entries:
        below = next(iter(entry.values())) if isinstance(entry, dict) else entry
        names += _listed(below) if isinstance(below, list) else [below]
    return names


@click.command()
@click.option(
    "--out", default=ROOT / "build" / "docs", show_default="build/docs", type=click.Path(path_type=Path), help="Folder."
)
def main(out: Path) -> None:
    """Build the documentation site; any warning is an error."""
    try:
        assemble(out)
        click.echo(render(out))
    except SiteError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
