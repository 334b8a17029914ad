"""Helpers that several test files share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_kit.annotations import AnnotationSet
from asl_kit.extraction_spec import ExtractionSpec
from asl_kit.grid import FeatureGrid
from asl_kit.store import FeatureStore

FPS = 30.0


def make_spec(**changes: Any) -> ExtractionSpec:
    """Return the spec of features with 4 values each, windows of 16 frames, one every 4 frames."""
    fields = {"backbone": "x3d_xs", "weights": "random", "feature_dim": 4, "window_frames": 16, "stride_frames": 4}
    return ExtractionSpec.model_validate(fields | {"clip_frames": 4} | changes)


def make_features(length: int, *, seed: int = 0, dimension: int = 4) -> NDArray[np.float32]:
    """Return random features (length, dimension)."""
    return np.random.default_rng(seed).standard_normal((length, dimension), dtype=np.float32)


def add_video(store: FeatureStore, video_id: str, features: NDArray[Any], **changes: Any) -> None:
    """Write features of a 30 fps video into a store, on the grid that the store's spec makes."""
    spec = store.spec
    grid = FeatureGrid.from_windows(
        fps=FPS, window_frames=spec.window_frames, stride_frames=spec.stride_frames, length=len(features)
    )
    frames = spec.stride_frames * len(features)
    store.write(
        video_id, features, **({"grid": grid, "duration_s": frames / FPS, "fps": FPS, "frames": frames} | changes)
    )


def make_annotation_set(videos: dict[str, Any], classes: list[str], /, **changes: Any) -> AnnotationSet:
    """Return annotations with one vocabulary, "action".

    `videos` maps an id to (split, segments); segments are (start, end, label) rows, or None.
    """
    documents = {
        video_id: {
            "split": split,
            "duration": 100.0,
            "segments": None
            if rows is None
            else [{"start": start, "end": end, "labels": {"action": label}} for start, end, label in rows],
        }
        for video_id, (split, rows) in videos.items()
    }
    fields = {"dataset": "own", "source": {"converter": "csv", "asl_kit": "0"}, "vocabularies": {"action": classes}}
    return AnnotationSet.model_validate(fields | {"videos": documents} | changes)
