"""A page for each dataset, from its manifest, its converter's docstring, its recipes and datasets.md."""

from __future__ import annotations

import html
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from asl_kit.annotations.conversion import find_converter
from asl_kit.manifests.files import find_manifest, load_manifest, manifest_paths
from asl_kit.manifests.schema import FeatureSet, Manifest
from asl_kit.recipes.files import About, built_in_recipes, describe_result, load_recipe, read_recipe

_ONE_CLASS = (
    "The model learns [one class](../training.md#one-class); "
    "[scores of whole videos](../evaluation.md#classes-from-video-level-scores) name it. The recipe's file names those "
    "that were published."
)
_OWN_RATE = (
    "These features count frames at each video's own rate. If the annotations do not state it, add a table "
    "`video,duration,fps` to the files that you convert, or give [`--fps`](../datasets.md#features-you-already-have)."
)

DATASETS = Path(__file__).parents[1] / "datasets.md"


def dataset_pages() -> dict[str, str]:
    """Return the page of every manifest, in Markdown, by the manifest's name."""
    commands = _convert_commands()
    return {name: _page(load_manifest(name), commands[name]) for name in manifest_paths()}


def _convert_commands() -> dict[str, str]:
    """Return the first command of datasets.md that converts each dataset, by the manifest's name."""
    commands: dict[str, str] = {}
    for line in re.findall(r"^asl-kit convert .+$", DATASETS.read_text(encoding="utf-8"), flags=re.MULTILINE):
        manifest = find_manifest(line.split()[2])  # none of a dataset whose facts are not known
        if manifest is not None:
            commands.setdefault(manifest.name, line)
    return commands


def _page(manifest: Manifest, convert: str) -> str:
    recipes = _recipes_of(manifest)
    return "\n".join(
        [
            f"# {manifest.title}",
            "",
            *_facts(manifest, recipes),
            *_steps(manifest, convert, recipes),
            *_feature_sets(manifest),
            *_counts(manifest),
            *_converter(convert),
            *_classes(manifest),
        ]
    )


def _recipes_of(manifest: Manifest) -> dict[str, About]:
    """Return the dataset's recipes; the one whose published figure is closest to ASL comes first."""
    abouts = {name: read_recipe(name).about for name in built_in_recipes()}
    own = {name: about for name, about in abouts.items() if about is not None and about.dataset == manifest.name}
    return dict(sorted(own.items(), key=lambda recipe: _unlike_asl(recipe[1])))


def _unlike_asl(about: About) -> int:
    """Return 0 for a recipe with a published figure of ASL, 1 for one of ActionFormer, 2 for others."""
    methods = {result.method for result in about.published}
    return 0 if "ASL" in methods else 1 if "ActionFormer" in methods else 2


def _facts(manifest: Manifest, recipes: dict[str, About]) -> list[str]:
    splits = manifest.splits
    held_out = f"; the labels of `{splits.held_out}` are withheld" if splits.held_out else ""
    protocols = [manifest.protocol, *manifest.other_protocols]
    classes = {name: len(labels) for name, labels in manifest.vocabularies.items()} | manifest.expected_classes
    rows = {
        "Home page": f"<{manifest.home}>",
        "Licence": manifest.licence,
        "Classes": ", ".join(f"{count} (`{vocabulary}`)" for vocabulary, count in classes.items()),
        "Trained on, scored on": f"`{splits.train}`, `{splits.evaluate}`{held_out}",
        "Scored at tIoU": ", ".join(f"{threshold:g}" for threshold in manifest.tiou_thresholds),
        "[Protocol](../evaluation.md#protocols)": f"`{protocols[0]}`"
        + "".join(f"; also `--protocol {name}`" for name in protocols[1:]),
        "Recipes": ", ".join(f"`{name}`" for name in recipes) or "none",
    }
    notes = [f"- {note}" for note in manifest.notes]
    return [*(f"- **{key}:** {value}" for key, value in rows.items()), *notes, ""]


def _steps(manifest: Manifest, convert: str, recipes: dict[str, About]) -> list[str]:
    """Return the steps from the download to a score with one recipe, and a table of all recipes."""
    annotations = shlex.split(convert)[-1]
    lines = [
        "## From the download to a score",
        "",
        f"Get the annotations from the [home page]({manifest.home}), unpack them and convert them. [Counts](#counts) "
        "are compared with the published ones.",
        "",
        *_shell(convert, f"asl-kit annotations stats {annotations}"),
    ]
    if not recipes:
        return [*lines, *_without_recipe(manifest, annotations)]
    name, about = next(iter(recipes.items()))
    streams = about.features[0].split(",")
    stores = ",".join(_store(manifest, stream) for stream in streams)
    one_class = load_recipe(name).data.one_class
    lines += [
        f"Import the published features into {'a store' if len(streams) == 1 else 'stores'} (replace the folder's name "
        f"by yours), train with the recipe `{name}`, and score:",
        "",
        *_shell(
            *(_import(manifest, stream, annotations) for stream in streams),
            f"asl-kit train --annotations {annotations} --features {stores} --recipe {name} --out {name}-run",
            f"asl-kit eval --checkpoint {name}-run/model.ckpt --annotations {annotations} --features {stores}"
            + (" --video-scores video_scores.json" if one_class else ""),
        ),
        *([_ONE_CLASS, ""] if one_class else []),
        *([_OWN_RATE, ""] if any(manifest.features[stream].fps is None for stream in streams) else []),
        "To train the baseline, ActionFormer, with the same recipe: `asl-kit train ... --set "
        "sensitivity.class_level=false --set sensitivity.instance_level=false --set contrastive.enabled=false`.",
        "",
        "Figures to compare with: published average mAP in %, over the thresholds above. We have not measured any of "
        "them, because the features are not available to us.",
        "",
        "| recipe | features | published |",
        "|---|---|---|",
    ]
    for recipe, facts in recipes.items():
        features = "<br>".join(choice.replace(",", ", ") for choice in facts.features)
        published = "<br>".join(map(describe_result, facts.published)) or "none"
        lines.append(f"| `{recipe}` | {features} | {published} |")
    limits = {limit: recipe for recipe, facts in recipes.items() for limit in facts.limits}
    if limits:
        lines += ["", "What published configurations do and these recipes do not do:", ""]
        lines += [f"- `{recipe}`: {limit}" for limit, recipe in limits.items()]
    return [*lines, ""]


def _without_recipe(manifest: Manifest, annotations: str) -> list[str]:
    store = f"{manifest.name}.zarr"
    return [
        "There is no recipe with published settings. With features that you extract, and asl-kit's defaults:",
        "",
        *_shell(
            f"asl-kit extract videos -o {store} --annotations {annotations} --backbone r2plus1d_18",
            f"asl-kit train --annotations {annotations} --features {store} --out {manifest.name}-run",
            f"asl-kit eval --checkpoint {manifest.name}-run/model.ckpt --annotations {annotations} --features {store}",
        ),
    ]


def _feature_sets(manifest: Manifest) -> list[str]:
    if not manifest.features:
        return []
    lines = [
        "## Feature sets",
        "",
        "Published features. `--preset` supplies their window, stride and frame rate.",
        "",
    ]
    for name, features in manifest.features.items():
        lines += [f"### {name}", "", f"{features.title}.", "", *_feature_facts(features)]
        lines += _shell(_import(manifest, name, manifest.name + ".json"))
        if features.backbones:
            lines += ["asl-kit can also extract them from the videos:", ""]
            lines += _shell(*_extract(manifest, name, features))
            lines += [*(f"- {note}" for note in features.extraction_notes), ""]
    return lines


def _feature_facts(features: FeatureSet) -> list[str]:
    rate = "its own rate" if features.fps is None else f"{features.fps:g} frames per second"
    window, stride = features.window_frames, features.stride_frames
    each = "one feature for each frame" if window == stride == 1 else f"windows of {window} frames, one every {stride}"
    timing = f"{each}, of the video at {rate}"
    if features.offset_s:
        timing += f", shifted by {features.offset_s:+.3f} s"
    if features.resized_to:
        timing += f"; then resized to {features.resized_to} features per video"
    lines = [f"- {features.dimensions:,} values per feature; {timing}."]
    if features.prefix or features.suffix:
        lines.append(f"- Files are named `{features.prefix}VIDEO{features.suffix}`.")
    lines += [f"- {note}" for note in features.notes]
    return [*lines, f"- Stated in: {features.source}.", ""]


def _counts(manifest: Manifest) -> list[str]:
    lines = [
        "## Counts",
        "",
        "What the publisher's files contain. `asl-kit convert` prints any difference, and with `--strict` it fails.",
        "",
        "| split | videos | segments | ignored |",
        "|---|---|---|---|",
    ]
    for split, expected in manifest.expected.items():
        cells = [_count(expected.videos), _count(expected.segments), _count(expected.ignored)]
        if not expected.annotated:
            cells[1] = "withheld"
        lines.append(f"| `{split}` | {' | '.join(cells)} |")
    if manifest.exclusions:
        lines += ["", "Videos that some publications leave out, and why:", ""]
        lines += [f"- `{item.video}` (`{item.split}`): {item.reason}." for item in manifest.exclusions]
    if manifest.subsets:
        lines += [
            "",
            "Names of splits in other files: "
            + ", ".join(f"`{a}` is `{b}`" for a, b in manifest.subsets.items())
            + ".",
        ]
    return [*lines, ""]


def _converter(convert: str) -> list[str]:
    """Return what the converter reads and does: the docstring of its module."""
    module = sys.modules[find_converter(convert.split()[2]).__module__]
    return ["## What the converter reads", "", (module.__doc__ or "").strip(), ""]


def _classes(manifest: Manifest) -> list[str]:
    lines = []
    for vocabulary, labels in manifest.vocabularies.items():
        names = ", ".join(f"{number} {html.escape(label)}" for number, label in enumerate(labels))
        lines += [
            f"<details><summary>Classes of <code>{vocabulary}</code>, by id</summary>",
            f"<p>{names}</p></details>",
            "",
        ]
    return ["## Classes", "", *lines] if lines else []


def _import(manifest: Manifest, features: str, annotations: str) -> str:
    store = _store(manifest, features)
    return (
        f"asl-kit import-features {features} -o {store} --annotations {annotations} --preset {manifest.name}/{features}"
    )


def _extract(manifest: Manifest, name: str, features: FeatureSet) -> Iterable[str]:
    for backbone in features.backbones:
        several = len(features.backbones) > 1
        store = f"{manifest.name}-{backbone}.zarr" if several else _store(manifest, name)
        choice = f" --backbone {backbone}" if several else ""
        preset = f"--preset {manifest.name}/{name}{choice}"
        yield f"asl-kit extract videos -o {store} --annotations {manifest.name}.json {preset}"


def _store(manifest: Manifest, features: str) -> str:
    return f"{manifest.name}-{features}.zarr"


def _shell(*commands: str) -> list[str]:
    return ["```bash", *commands, "```", ""]


def _count(number: int | None) -> str:
    return "not known" if number is None else f"{number:,}"
