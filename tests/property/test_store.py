from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
from helpers.support import make_spec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from asl_kit.grid import FeatureGrid
from asl_kit.store import FeatureStore, SourceVideo
from asl_kit.store.arrays import MAX_CHUNK_ROWS, StoredArray

lengths = st.sampled_from([0, 1, 2, 1023, 1024, 1025, 2049]) | st.integers(0, 3000)


@settings(max_examples=20, deadline=None)
@given(lengths, st.integers(1, 5), st.sampled_from(["float16", "float32"]), st.floats(-1, 1e5), st.floats(1e-6, 1e4))
@example(0, 3, "float16", 0.0, 1.0)
@example(1, 3, "float16", 0.0, 1.0)
@example(1024, 3, "float32", 0.0, 1.0)
@example(1025, 3, "float16", 0.0, 1.0)
def test_what_is_written_is_read(
    length: int, dimension: int, dtype: Literal["float16", "float32"], first_center_s: float, step_s: float
) -> None:
    features = np.random.default_rng(length).standard_normal((length, dimension), dtype=np.float32)
    grid = FeatureGrid(first_center_s, step_s, length)
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore.open_or_create(Path(folder), make_spec(feature_dim=dimension), dtype)
        store.write(SourceVideo("v", grid, duration_s=step_s, fps=1 / step_s, frames=length), features)
        stored, info = store.read("v"), store.info("v")
        array = StoredArray.open(store.folder("v"))
        assert store.verify() == []
    np.testing.assert_array_equal(stored, features.astype(dtype), strict=True)
    assert (info.grid, info.duration_s, info.fps, info.frames) == (grid, step_s, 1 / step_s, length)
    assert array.chunk_rows <= MAX_CHUNK_ROWS
    chunks = -(-length // array.chunk_rows)
    assert chunks * array.chunk_rows - length < max(chunks, 1)  # the padding on disk: under a row a chunk


@settings(max_examples=10, deadline=None)
@given(st_numpy.arrays(np.float16, (3, 2), elements=st.floats(-65504, 65504, width=16)))
def test_every_finite_float16_survives(features: np.ndarray) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FeatureStore.open_or_create(Path(folder), make_spec(feature_dim=2))
        store.write(SourceVideo("v", FeatureGrid(0, 1, 3), duration_s=3, fps=1, frames=3), features)
        assert store.read("v").tobytes() == features.tobytes()  # the sign of zero too
