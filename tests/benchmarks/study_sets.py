"""Make the sets that the studies beside this script are about, into the folder where their files look for them.

    python tests/benchmarks/study_sets.py --data SETS/gtea --data SETS/50salads --data SETS/sbhar --generated
    asl-kit study tests/benchmarks/studies/parts.toml --out build/parts

Each set is a folder with `features/<video>.npy` and `segments.csv`, made into a store and annotations by asl-kit's own
commands. `--generated` adds a set whose informative frames are known (`informative_frames.py`). `--test S2_` adds
annotations that test on the videos whose ids begin so and train on all others: `test-S2_.json`. Two sets are also cut
for starting weights: `start.json` is for the model to start from, `target.json` for the runs that start from it. Two
are also made with fewer features a second, for `time_scale.toml`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from informative_frames import make_set

ROOT = Path(__file__).parents[2]


class Grid(NamedTuple):
    """How a set's features were made."""

    fps: float
    stride: int
    window: int


# GTEA and 50 Salads: SpatialCNN features of Lea et al., CVPR 2017, split 1. SBHAR: UCI 341, raw inertial samples.
GRIDS = {"gtea": Grid(15, 1, 1), "50salads": Grid(3, 1, 1), "sbhar": Grid(50, 25, 25), "generated": Grid(1, 1, 1)}
# Sets that are also made with only every n-th feature, so that many segments are only a few features long.
COARSE = {"gtea": 15, "sbhar": 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "study-sets")
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="FOLDER", help="a set; repeatable")
    parser.add_argument("--generated", action="store_true", help="add the generated set")
    parser.add_argument("--test", metavar="PREFIX", help="also test on the videos whose ids begin so")
    options = parser.parse_args()
    sources = {folder.name: folder for folder in options.data}
    if options.generated:
        sources["generated"] = options.out / "generated" / "source"
        make_set(sources["generated"])
    for name, source in sources.items():
        if name not in GRIDS:
            sys.exit(f"{source}: how its features were made is not known: {', '.join(GRIDS)}")
        prepare(GRIDS[name], source, options.out / name)
        if name in COARSE:
            prepare_coarse(GRIDS[name], COARSE[name], source, options.out / f"{name}-coarse")
        annotations = options.out / name / "annotations.json"
        if options.test:
            write_part(annotations, f"test-{options.test}.json", split_anew(options.test))
        for part, change in PARTS.get(name, {}).items():
            write_part(annotations, part, change)


def prepare(grid: Grid, source: Path, out: Path) -> None:
    """Write `annotations.json` and `features.zarr`."""
    out.mkdir(parents=True, exist_ok=True)
    annotations = out / "annotations.json"
    _asl_kit("convert", "csv", source / "segments.csv", "-o", annotations)
    words = ("--fps", grid.fps, "--stride", grid.stride, "--window", grid.window)
    store = out / "features.zarr"
    _asl_kit("import-features", source / "features", "-o", store, "--annotations", annotations, *words)


def prepare_coarse(grid: Grid, every: int, source: Path, out: Path) -> None:
    """Write the same with every n-th feature."""
    thinned = out / "source"
    (thinned / "features").mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "segments.csv", thinned)
    for path in (source / "features").glob("*.npy"):
        np.save(thinned / "features" / path.name, np.load(path)[::every])
    prepare(grid._replace(stride=grid.stride * every), thinned, out)


def _asl_kit(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "asl_kit", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


Change = Callable[[dict[str, Any]], None]


def write_part(annotations: Path, name: str, change: Change) -> None:
    """Write changed annotations beside others."""
    document = json.loads(annotations.read_text("utf-8"))
    change(document)
    annotations.with_name(name).write_text(json.dumps(document), "utf-8")


def split_anew(test: str) -> Change:
    """Return a change: the videos whose ids begin with `test` are tested on, and all others trained on."""

    def change(document: dict[str, Any]) -> None:
        for video_id, video in document["videos"].items():
            video["split"] = "test" if video_id.startswith(test) else "train"

    return change


def keep_classes(remainder: int) -> Change:
    """Return a change: only every second class is kept."""

    def change(document: dict[str, Any]) -> None:
        kept = sorted(document["vocabularies"]["action"])[remainder::2]
        document["vocabularies"]["action"] = kept
        for video in document["videos"].values():
            video["segments"] = [row for row in video["segments"] if row["labels"]["action"] in kept]

    return change


def keep_users(remainders: set[int]) -> Change:
    """Return a change: of the users to train on (video ids end with theirs), only some of every four are kept."""

    def change(document: dict[str, Any]) -> None:
        videos = document["videos"]
        users = sorted({user(video_id) for video_id, video in videos.items() if video["split"] == "train"})
        kept = {name for place, name in enumerate(users) if place % 4 in remainders}
        document["videos"] = {
            video_id: video for video_id, video in videos.items() if video["split"] != "train" or user(video_id) in kept
        }

    def user(video_id: str) -> str:
        return video_id.rpartition("_")[2]

    return change


PARTS: Mapping[str, Mapping[str, Change]] = {
    "50salads": {"start.json": keep_classes(0), "target.json": keep_classes(1)},
    "sbhar": {"start.json": keep_users({0}), "target.json": keep_users({1, 2, 3})},
}

if __name__ == "__main__":
    main()
