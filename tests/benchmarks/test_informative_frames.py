"""The generated set shows its classes where it says so, and the rank correlation is Spearman's."""

from __future__ import annotations

import csv
import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("informative_frames")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1.0, 2, 3], [10.0, 20, 90], 1.0),
        ([1.0, 2, 3], [3.0, 2, 1], -1.0),
        ([1.0, 2, 3, 4], [1.0, 3, 2, 4], 0.8),  # 1 - 6 * 2 / (4 * 15)
        ([1.0, 1, 2], [1.0, 2, 3], 3**0.5 / 2),  # the tie ranks 1.5
        ([1.0, 1, 1], [1.0, 2, 3], 0.0),
    ],
    ids=["same order", "reversed", "one swap", "tie", "constant"],
)
def test_rank_correlation(generator: ModuleType, a: list[float], b: list[float], expected: float) -> None:
    assert generator.rank_correlation(np.array(a), np.array(b)) == pytest.approx(expected)


def test_classes_show_where_the_truth_says(generator: ModuleType, tmp_path: Path) -> None:
    generator.make_set(tmp_path, seed=3)
    with (tmp_path / "segments.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {"train", "test"}
    assert {row["label"] for row in rows} == set(generator.NAMES)
    features = {row["video"]: np.load(tmp_path / "features" / f"{row['video']}.npy").astype(float) for row in rows}
    assert len(features) == generator.TRAIN_VIDEOS + generator.TEST_VIDEOS
    for kind, name in enumerate(generator.NAMES):
        truth, frames = [], []
        for row in rows:
            if row["label"] == name:
                start, end = float(row["start"]), float(row["end"])
                inside = np.arange(int(np.ceil(start - 0.5)), int(np.floor(end - 0.5)) + 1)
                truth.append(generator.class_evidence(kind, (inside + 0.5 - (start + end) / 2) / (end - start)))
                frames.append(features[row["video"]][inside])
        evidence, shown = np.concatenate(truth), np.concatenate(frames)
        # What distinguishes the informative frames of the class is one direction, there and nowhere else.
        direction = shown[evidence > 0.8].mean(0) - shown[evidence < 0.1].mean(0)
        along = shown @ direction / np.linalg.norm(direction)
        assert np.corrcoef(along, evidence)[0, 1] > 0.6
    assert generator.class_evidence(0, np.array([-0.4, 0.4])) == pytest.approx([1, 0], abs=1e-6)
    assert generator.boundary_evidence(np.array([-0.5, 0.0, 0.5])) == pytest.approx([1, 0, 1], abs=1e-6)


def test_the_same_seed_makes_the_same_set(generator: ModuleType, tmp_path: Path) -> None:
    for name in ("one", "two"):
        generator.make_set(tmp_path / name, seed=1)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


def test_the_truth_correlates_with_itself(generator: ModuleType) -> None:
    u = np.linspace(-0.5, 0.5, 21)
    classes = {
        name: {"p_cls": list(generator.class_evidence(place, u)), "p_loc": list(-generator.boundary_evidence(u))}
        for place, name in enumerate(generator.NAMES)
    }
    time_s = 0.5 + np.arange(60)
    within = (time_s - 30) / 20  # a segment of class_1 from 20 to 40 s
    curve = {"q_cls": list(generator.class_evidence(1, within)), "q_loc": list(generator.boundary_evidence(within))}
    videos = {"v": {"first_s": 0.5, "step_s": 1.0, **curve}}
    segment = {"start": 20.0, "end": 40.0, "labels": {"action": "class_1"}}
    found = generator.correlations(
        {"u": u, "classes": classes, "videos": videos}, {"videos": {"v": {"segments": [segment]}}}
    )
    assert found["class"] == pytest.approx([1, -1])
    assert found["instance"] == pytest.approx([1, 1])
