"""The action sensitivity that a model has learned: over a segment by class, and over time by video.

The document that ``asl-kit eval --sensitivity FILE`` writes; K classes, U relative positions, T features of a video::

    {"format": "asl-kit/sensitivity", "version": 1, "split": "test", "mode": "quality",
     "u": [-0.5, ..., 0.5],                            U positions in a segment, from start to end
     "classes": {"Diving": {"p_cls": [U numbers], "p_loc": [U numbers],
                            "mu": {"classification": ..., "start": ..., "end": ...},
                            "sigma": {the same keys},   in lengths of the segment
                            "training_segments": 88}},  null if the checkpoint does not record it
     "videos": {"video 1": {"first_s": 0.27, "step_s": 0.13,     entry i is at first_s + i * step_s seconds
                            "q_cls": [T numbers], "q_loc": [T numbers]}}}

If the model has several vocabularies, classes are named with theirs, ``verb: wash``.
``classes`` is null without the class level, ``videos`` without the instance level. Curves are rounded to 4 decimals.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from asl_evaluate.checkpoint_detections import check_streams, load_videos
from asl_evaluate.options import DEFAULTS, ScoringOptions
from asl_kit.annotations import AnnotationSet, read_annotations
from asl_kit.base.console import progress_bar
from asl_kit.base.files import write_text
from asl_kit.checkpoint.ensemble import Ensemble
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.errors import CheckpointError
from asl_kit.inference.detector import Detector
from asl_kit.model.sensitivity import ClassSensitivity
from asl_kit.remote.address import Address

POSITIONS = 101  # in a segment, for the curves of a class
CURVES = ("classification", "start", "end")


def load_sensitive(path: Path) -> Checkpoint:
    """Read the checkpoint of a model that has learned action sensitivity.

    Raises
    ------
    CheckpointError
        If it has neither level, or the file cannot be read.
    """
    checkpoint = load_checkpoint(path)
    if not checkpoint.recipe.sensitivity.instance_level and class_curves(checkpoint) is None:
        raise CheckpointError(
            f"{path}: this model has learned no sensitivity: its recipe has neither class level nor instance level",
            hint="train with sensitivity.class_level or sensitivity.instance_level, or leave out --sensitivity",
        )
    return checkpoint


def write_sensitivity(
    path: Path,
    checkpoint: Path,
    annotations: Path,
    features: Sequence[Path | Address],
    options: ScoringOptions = DEFAULTS,
    *,
    device: str = "auto",
) -> None:
    """Write the learned sensitivity as the JSON document that this module describes.

    Parameters
    ----------
    path : Path
        The JSON file to write.
    checkpoint : Path
        A trained model.
    annotations : Path
        Unified annotations.
    features : sequence of Path or Address
        Feature stores, in the order in which the model was trained on them.
    options : ScoringOptions
        Its `split` names the videos.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    CheckpointError
        As `load_sensitive`.
    """
    trained = load_sensitive(checkpoint)
    annotation_set = read_annotations(annotations)
    split = options.split_of(annotation_set)
    videos = None
    if trained.recipe.sensitivity.instance_level:
        reader = FeatureReader(features, trained.recipe.data)
        ensemble = Ensemble((checkpoint,), (trained,))
        check_streams(ensemble, reader)
        videos = video_curves(ensemble, annotation_set, reader, split=split, device=device)
    document = {
        "format": "asl-kit/sensitivity",
        "version": 1,
        "split": split,
        "mode": trained.recipe.sensitivity.mode,
        "u": _rounded(_positions()),
        "classes": class_curves(trained),
        "videos": videos,
    }
    write_text(path, json.dumps(document, ensure_ascii=False) + "\n")


def class_curves(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Return the learned curves of every class over the relative position; None without the class level."""
    if not checkpoint.recipe.sensitivity.class_level or not checkpoint.objective:
        return None
    as_released = checkpoint.recipe.sensitivity.mode == "released"
    learned = ClassSensitivity(len(checkpoint.class_names), as_released=as_released)
    prefix = "class_sensitivity."
    state = {
        name.removeprefix(prefix): value for name, value in checkpoint.objective.items() if name.startswith(prefix)
    }
    try:
        learned.load_state_dict(state)
    except RuntimeError as fault:
        reason = " ".join(str(fault).split())
        raise CheckpointError(f"damaged checkpoint: class-level sensitivity: {reason}") from fault
    names = [
        name if len(checkpoint.outputs) == 1 else f"{vocabulary}: {name}"
        for vocabulary, class_names in checkpoint.outputs.items()
        for name in class_names
    ]
    segments = checkpoint.provenance.get("train_segments") or [None] * len(names)
    if not isinstance(segments, list) or len(segments) != len(names):
        raise CheckpointError(f"damaged checkpoint: provenance.train_segments: expected a count for each of {names}")
    curves = {}
    with torch.no_grad():
        for label, (name, count) in enumerate(zip(names, segments, strict=True)):
            p = learned(_positions(), torch.full((POSITIONS, 1), label))
            curves[name] = {
                "p_cls": _rounded(p[:, 0]),
                "p_loc": _rounded(p[:, 1]),
                "mu": dict(zip(CURVES, learned.mu[label].tolist(), strict=True)),
                "sigma": dict(zip(CURVES, learned.sigma[label].tolist(), strict=True)),
                "training_segments": count,
            }
    return curves


def video_curves(
    ensemble: Ensemble, annotations: AnnotationSet, reader: FeatureReader, *, split: str, device: str = "auto"
) -> dict[str, Any]:
    """Return the predicted curves of every video of a split that has features, one number a feature."""
    detector = Detector.from_ensemble(ensemble, device)
    names = [annotations.vocabulary(name or None) for name in ensemble.vocabularies]
    # Their classes, whatever the model's are: a model of one class runs on any.
    classes = {name: annotations.classes(name) for name in names}
    items = load_videos(annotations, split, reader, classes)
    curves = {}
    with progress_bar("sensitivity", len(items)) as bar:
        for item in items:
            q = detector.run([reader.read(item.video_id)]).sensitivity
            assert q is not None  # the checkpoint has the instance level
            q = q[0, : item.grid.length]  # the points of level 0 are the features
            curves[item.video_id] = {
                "first_s": item.grid.first_center_s,
                "step_s": item.grid.step_s,
                "q_cls": _rounded(q[:, 0]),
                "q_loc": _rounded(q[:, 1]),
            }
            bar.advance()
    return curves


def _positions() -> torch.Tensor:
    return torch.linspace(-0.5, 0.5, POSITIONS)


def _rounded(values: torch.Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]
