"""The command ``asl-kit store``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asl_kit.cli.options import PathOrAddress, json_option

if TYPE_CHECKING:
    from asl_kit.remote.address import Address
    from asl_kit.store import FeatureStore, SourceComparison

store_argument = click.argument("path", metavar="STORE", type=PathOrAddress())
as_json = json_option("the result")


@click.group()
def store() -> None:
    """Inspect and verify a feature store."""


@store.command()
@store_argument
@as_json
def info(path: Path | Address, json_path: str | None) -> None:
    """Print how the features were made, how many there are, and which videos failed."""
    from asl_kit.cli.output import print_results
    from asl_kit.store import FeatureStore, describe

    report = describe(FeatureStore.open(path))
    print_results(report.to_text(), report.to_json(), json_path)


@store.command(name="list")
@store_argument
@as_json
def list_(path: Path | Address, json_path: str | None) -> None:
    """Print a table of the videos."""
    from asl_kit.cli.output import print_results
    from asl_kit.store import FeatureStore, list_videos, table

    infos = list_videos(FeatureStore.open(path))
    print_results(table(infos), [video.to_json() for video in infos], json_path)


@store.command()
@store_argument
@click.option("--quick", is_flag=True, help="Check metadata only, without reading the features.")
@click.option(
    "--against",
    metavar="VIDEO_OR_DIR",
    multiple=True,
    type=PathOrAddress(),
    help="Also check that the features were made from these files; may be repeated.",
)
@as_json
def verify(path: Path | Address, quick: bool, against: tuple[Path | Address, ...], json_path: str | None) -> None:
    """Read all features and compare them with their checksums; exit code 1 if anything is wrong."""
    from asl_kit.cli.output import print_results
    from asl_kit.errors import StoreError
    from asl_kit.store import FeatureStore

    opened = FeatureStore.open(path)
    sources = _compare_sources(opened, against) if against else None
    problems = opened.verify(deep=not quick, show_progress=True)
    text = "\n".join(map(str, problems)) or f"{path}: {len(opened.video_ids())} videos, all intact"
    result: dict[str, Any] = {"problems": [problem.to_json() for problem in problems]}
    if sources is not None:
        text += f"\n{sources.to_text()}"
        result["sources"] = sources.to_json()
    print_results(text, result, json_path)
    if problems:
        raise StoreError(
            f"{path}: {len(problems)} problems",
            hint="delete the folders named above that exist, and run the command that filled the store again:"
            " it makes only what is missing",
        )
    if sources is not None and sources.changed:
        raise StoreError(
            f"{path}: {len(sources.changed)} videos were made from other files",
            hint="add --replace-changed to the command that filled the store, and run it again",
        )


def _compare_sources(store: FeatureStore, sources: tuple[Path | Address, ...]) -> SourceComparison:
    from asl_extract.videos import find_sources
    from asl_kit.errors import UsageError
    from asl_kit.store import compare_sources

    if store.spec.is_imported:
        raise UsageError(
            f"--against: the features of {store.path} were imported, not made from videos",
            hint="run `asl-kit import-features` again: it compares the features with their files",
        )
    return compare_sources(store, {file.video_id: file.path for file in find_sources(sources)})
