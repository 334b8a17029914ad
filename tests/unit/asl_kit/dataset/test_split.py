"""Annotations and stores joined: splits, reader, statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.support import add_video, make_annotation_set, make_features, make_spec

from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.held_features import HeldFeatures
from asl_kit.dataset.split import feature_statistics, load_split
from asl_kit.errors import AnnotationError, StoreError
from asl_kit.grid import FeatureGrid
from asl_kit.recipes.schema import DataRecipe
from asl_kit.store import FeatureStore


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open_or_create(tmp_path / "a.zarr", make_spec(), dtype="float32")
    for number, length in enumerate((10, 25)):
        add_video(store, f"v{number}", make_features(length, seed=number) * 3 + 100)
    return store


def test_streams_are_joined_by_time(tmp_path: Path, store: FeatureStore) -> None:
    other = FeatureStore.open_or_create(tmp_path / "b.zarr", make_spec(feature_dim=1, stride_frames=8), dtype="float32")
    grid = FeatureGrid(16 / 60, 8 / 30, 13)
    times = grid.centers_s()[:, None].astype(np.float32)
    add_video(other, "v1", times)
    reader = FeatureReader([store.path, other.path])
    assert reader.dims == [4, 1]
    assert "v1" in reader
    assert "v0" not in reader, "a video counts only if every stream has it"
    joined = reader.read("v1")
    assert joined.shape == (25, 5)
    np.testing.assert_array_equal(joined[:, :4], store.read("v1"))
    np.testing.assert_allclose(joined[:, 4], store.info("v1").grid.centers_s(), atol=1e-5)


def test_features_are_resized_like_torchs(store: FeatureStore) -> None:
    reader = FeatureReader([store.path], DataRecipe(resize_length=40))
    stored = torch.from_numpy(np.asarray(store.read("v1"), dtype=np.float32))
    expected = torch.nn.functional.interpolate(stored.T[None], 40, mode="linear", align_corners=False)[0].T
    np.testing.assert_allclose(reader.read("v1"), expected, atol=1e-5)
    whole, grid = store.info("v1").grid, reader.info("v1").grid
    assert (grid.length, grid.start_s, grid.end_s) == (40, pytest.approx(whole.start_s), pytest.approx(whole.end_s))


def test_statistics_are_numpys(store: FeatureStore) -> None:
    reader = FeatureReader([store.path])
    annotations = make_annotation_set({"v0": ("train", []), "v1": ("train", [])}, ["run"])
    items = load_split(annotations, "train", reader, {"action": ["run"]}).items
    mean, std = feature_statistics(HeldFeatures(reader, torch.device("cpu")), items)
    everything = np.concatenate([store.read("v0"), store.read("v1")]).astype(np.float64)
    np.testing.assert_allclose(mean, everything.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(std, everything.std(axis=0), rtol=1e-6)


def test_a_split_tells_what_it_cannot_use(store: FeatureStore) -> None:
    rows = {"v0": ("train", [(1.0, 2.0, "run")]), "v1": ("train", None), "v2": ("train", []), "v3": ("test", [])}
    split = load_split(
        make_annotation_set(rows, ["jump", "run"]), "train", FeatureReader([store.path]), {"action": ["jump", "run"]}
    )
    assert [item.video_id for item in split.items] == ["v0"]
    assert split.items[0].labels.tolist() == [[1]]
    assert split.items[0].segments_s.tolist() == [[1.0, 2.0]]
    assert split.items[0].duration_s == pytest.approx(40 / 30), "the store's, not the annotations' 100 s"
    assert split.not_annotated == ["v1"]
    assert split.without_features == ["v2"]


def test_several_splits(store: FeatureStore) -> None:
    rows = {"v0": ("a", [(1.0, 2.0, "run")]), "v1": ("b", None), "v2": ("c", [])}
    annotations, reader = make_annotation_set(rows, ["jump", "run"]), FeatureReader([store.path])
    split = load_split(annotations, "a,b", reader, {"action": ["jump", "run"]}, with_unannotated=True)
    assert [(item.video_id, len(item.segments_s)) for item in split.items] == [("v0", 1), ("v1", 0)]
    assert split.items[0].labels.tolist() == [[1]]
    assert [item.labels.tolist() for item in split.as_one_class().items] == [[[0]], []]


def test_an_unknown_class_is_named(store: FeatureStore) -> None:
    annotations = make_annotation_set({"v0": ("train", [(1.0, 2.0, "run")])}, ["jump", "run"])
    with pytest.raises(AnnotationError, match="video v0: class 'run' is not among the 1 classes of the model"):
        load_split(annotations, "train", FeatureReader([store.path]), {"action": ["jump"]})


def test_a_split_without_features_is_refused(store: FeatureStore) -> None:
    annotations = make_annotation_set({"x": ("train", []), "y": ("train", None)}, ["run"])
    with pytest.raises(
        StoreError, match=r"no video of split 'train' .* 2 videos .* 1 without features, 1 not annotated"
    ):
        load_split(annotations, "train", FeatureReader([store.path]), {"action": ["run"]})
