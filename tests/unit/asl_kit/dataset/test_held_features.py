"""Features that are held are those of the store, in the smallest type that holds them exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.support import add_video, make_spec

from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.held_features import HeldFeatures
from asl_kit.store import FeatureStore

CPU = torch.device("cpu")


@pytest.fixture
def reader(tmp_path: Path) -> FeatureReader:
    """Return a reader of three videos of 10 features of 4 values each."""
    store = FeatureStore.open_or_create(tmp_path / "features.zarr", make_spec(), dtype="float32")
    random = np.random.default_rng(0)
    halves = random.standard_normal((10, 4)).astype(np.float16).astype(np.float32)
    for video_id, features in (
        ("half", halves), ("fine", random.standard_normal((10, 4), dtype=np.float32)), ("large", halves * 1e30),
    ):  # fmt: skip
        add_video(store, video_id, features)
    return FeatureReader(store.path)


@pytest.mark.parametrize(
    ("video_id", "dtype"), [("half", torch.float16), ("fine", torch.float32), ("large", torch.float32)]
)
def test_held_exactly(video_id: str, dtype: torch.dtype, reader: FeatureReader) -> None:
    features = HeldFeatures(reader, CPU, limit_bytes=10**6)
    for _ in range(2):
        found = features.read(video_id)
        assert found.dtype == dtype
        assert np.array_equal(found.float().numpy(), reader.read(video_id))
    assert features.free_bytes == 10**6 - found.nbytes


def test_as_many_as_fit(reader: FeatureReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """80 bytes for the first; 160 for each of the others, of which one fits."""
    reads: list[str] = []
    read = FeatureReader.read
    monkeypatch.setattr(FeatureReader, "read", lambda self, video_id: reads.append(video_id) or read(self, video_id))
    features = HeldFeatures(reader, CPU, limit_bytes=300)
    for _ in range(3):
        for video_id in ("fine", "half", "large"):
            features.read(video_id)
    assert reads == ["fine", "half", "large", "large", "large"]
    assert features.free_bytes == 60


def test_the_share_of_the_free_memory(reader: FeatureReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    monkeypatch.setattr("asl_kit.dataset.held_features.available_memory", lambda: 8000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4000, 9000))
    assert HeldFeatures(reader, CPU).free_bytes == 2000
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")  # processes that share the memory of the host, and not that of a GPU
    assert HeldFeatures(reader, CPU).free_bytes == 500
    assert HeldFeatures(reader, torch.device("cuda:1")).free_bytes == 1000
    monkeypatch.setattr("asl_kit.dataset.held_features.available_memory", lambda: None)
    assert HeldFeatures(reader, CPU).free_bytes == 0
