from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asl_evaluate.video_score_files import THUMOS14_CLASSES, read_video_scores
from asl_kit.errors import MissingFileError, PredictionError
from asl_kit.manifests.files import load_manifest


def _write(folder: Path, document: Any) -> Path:
    path = folder / "scores.json"
    path.write_text(json.dumps(document))
    return path


def test_logits_in_tcanets_layout_become_probabilities(tmp_path: Path) -> None:
    logits = [2.0, -1.0, 0.5]
    scores = read_video_scores(_write(tmp_path, {"class": ["a", "b", "c"], "results": {"v_1": [logits]}}))
    found = scores.find("1")
    assert found is not None
    np.testing.assert_allclose(found, np.exp(logits) / np.exp(logits).sum())


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_untrimmednets_array_has_a_row_for_each_test_video(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).uniform(size=(3, 101))
    path = tmp_path / f"uNet_test.{suffix}"
    np.save(path, array) if suffix == "npy" else np.savez(path, scores=array)
    scores = read_video_scores(path)
    assert scores.class_names == tuple(load_manifest("thumos14").vocabularies["action"])
    found = scores.find("video_test_0000002")
    assert found is not None
    assert found[scores.class_names.index("Diving")] == array[1, THUMOS14_CLASSES["Diving"] - 1]
    assert scores.find("video_test_0000004") is None


@pytest.mark.parametrize(
    ("array", "message"),
    [
        pytest.param(np.zeros((3, 20)), r"one array of shape \(videos, 101\), found float64 \(3, 20\)", id="width"),
        pytest.param(np.zeros(101), r"found float64 \(101,\)", id="one row"),
        pytest.param(np.zeros((2, 101), "U1"), r"found <U1 \(2, 101\)", id="text"),
        pytest.param(np.full((2, 101), np.nan), r"row 0 \(video_test_0000001\), class 'BaseballPitch'.*nan", id="NaN"),
        pytest.param(np.full((2, 101), -0.5), "expected a number not below 0, found -0.5", id="below 0"),
        pytest.param(np.array([{}]), "not an array of NumPy", id="pickled"),
    ],
)  # fmt: skip
def test_arrays_that_are_refused(tmp_path: Path, array: Any, message: str) -> None:
    np.save(tmp_path / "s.npy", array)
    with pytest.raises(PredictionError, match=message) as caught:
        read_video_scores(tmp_path / "s.npy")
    assert str(tmp_path / "s.npy") in caught.value.message


@pytest.mark.parametrize("name", ["damaged.npy", "damaged.npz"])
def test_a_damaged_array(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(PredictionError, match=f"{name}: not an array of NumPy"):
        read_video_scores(tmp_path / name)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param([], "field 'results' must be an object with videos", id="a list"),
        pytest.param({"class": ["a"], "results": {}}, "field 'results' must be an object", id="no videos"),
        pytest.param(
            {"results": {"v": [0.5]}}, "field 'class' with the names of the classes is missing", id="no names"
        ),
        pytest.param({"class": "ab", "results": {"v": [1, 2]}}, "class: expected a list of names", id="names"),
        pytest.param({"class": ["a", "a"], "results": {"v": [1, 2]}}, "class: 'a' occurs twice", id="a name twice"),
        pytest.param({"class": ["a"], "results": {"v": [1, 2]}}, "video 'v': expected 1 scores.*found 2", id="length"),
        pytest.param({"class": ["a"], "results": {"v": 3}}, "video 'v': expected 1 scores.*found int", id="no list"),
        pytest.param({"class": ["a"], "results": {"v": [-1]}}, "video 'v', class 'a': expected a number", id="below 0"),
        pytest.param({"class": ["a"], "results": {"v": [10**400]}}, "class 'a': expected a number", id="too large"),
        pytest.param({"class": ["a"], "results": {"v": [True]}}, "class 'a': expected a number", id="true"),
        pytest.param({"class": ["a"], "results": {"v": [float("nan")]}}, "expected a number|not a JSON", id="NaN"),
        pytest.param(
            {"class": ["a", "b"], "results": {"v": [[1]]}}, "video 'v': expected 2 scores.*found 1", id="logits"
        ),
        pytest.param(
            {"class": ["a"], "results": {"v": [["1"]]}}, "'a': expected a finite number, found '1'", id="text"
        ),
        pytest.param({"class": ["a"], "results": {"v": {"b": 1}}}, "class 'b' is not among the 1", id="unknown class"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, document: Any, message: str) -> None:
    path = _write(tmp_path, document)
    with pytest.raises(PredictionError, match=message) as caught:
        read_video_scores(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["none.json", "none.npy"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingFileError, match=f"{name}: no such file"):
        read_video_scores(tmp_path / name)
