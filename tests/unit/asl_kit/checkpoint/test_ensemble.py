"""Checkpoints used as one model: what they must have in common."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.support import make_spec, write_model

from asl_kit.checkpoint.ensemble import load_ensemble
from asl_kit.checkpoint.files import load_checkpoint, save_checkpoint
from asl_kit.errors import AslKitError, CheckpointError, SpecConflictError, UsageError

RGB, FLOW = make_spec(weights="rgb"), make_spec(weights="flow")


def test_each_stream_is_needed_once(tmp_path: Path) -> None:
    """Also if a model takes two streams that cannot be told apart."""
    paths = [tmp_path / f"{name}.ckpt" for name in "abc"]
    for path, specs in zip(paths, [(RGB,), (FLOW, RGB), (FLOW, FLOW)], strict=True):
        write_model(path, *specs)
    ensemble = load_ensemble(paths, [1, 2, 3])
    assert ensemble.extraction == (RGB, FLOW, FLOW)
    assert ensemble.streams == ((0,), (1, 0), (1, 2))
    assert ensemble.weights == (1, 2, 3)
    assert ensemble.source == ", ".join(map(str, paths))


def test_vocabularies_are_matched_by_name(tmp_path: Path) -> None:
    """Classes in the order of the first; a name that only one knows is that of the other."""
    first, second = write_model(tmp_path / "a", RGB), write_model(tmp_path / "b", RGB, classes=("run", "jump"))
    unnamed = replace(load_checkpoint(second), vocabularies={"": ("run", "jump")})
    save_checkpoint(unnamed, second)
    assert load_ensemble([second, first]).vocabularies == {"action": ("run", "jump")}
    ensemble = load_ensemble([first, second])
    assert ensemble.vocabularies == {"action": ("jump", "run")}
    assert load_ensemble([second]).named("move").vocabularies == {"move": ("run", "jump")}


@pytest.mark.parametrize(
    ("model", "weights", "error", "message"),
    [
        ({}, [1.0], UsageError, "^1 weights for 2 checkpoints: give one for each$"),
        ({}, [1.0, -1.0], UsageError, r"^weight -1\.0: expected a number above 0$"),
        (
            {"classes": ("jump", "hop")},
            None,
            CheckpointError,
            r"b: vocabulary 'action': other classes than in the first checkpoint; only here: hop; only there: run$",
        ),
        ({"data": {"time_scale": 2}}, None, SpecConflictError, r"\n  data.time_scale: 1 against 2$"),
        ({"data": {"resize_length": 64}}, None, SpecConflictError, r"\n  data.resize_length: None against 64$"),
        (
            {"spec": {"stride_frames": 8}},
            None,
            SpecConflictError,
            r"not on the same grid as .*\n  stride_frames: 4",
        ),
        (
            {"head": "trident", "trident_bins": 8},
            None,
            SpecConflictError,
            r"\n  model.head: offsets against trident of 8 bins$",
        ),
        ({"spec": {"fps": 10.0}}, None, SpecConflictError, r"\n  fps: each video's own against 10\.0$"),
    ],
)
def test_refused(
    model: dict[str, Any], weights: list[float] | None, error: type[AslKitError], message: str, tmp_path: Path
) -> None:
    spec = make_spec(**model.pop("spec", {}))
    paths = [write_model(tmp_path / "a", make_spec()), write_model(tmp_path / "b", spec, **model)]
    with pytest.raises(error, match=message):
        load_ensemble(paths, weights)
