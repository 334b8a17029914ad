"""The authors' released form of ASL: losses and gradients are those of their own code.

The references are made by scripts/make_released_asl.py, which says how.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from asl_kit.model.assignment import Truth
from asl_kit.model.contrastive import region_contrastive_loss
from asl_kit.model.network import Output, Points
from asl_kit.model.objective import Objective
from asl_kit.recipes.schema import Recipe

FOLDER = Path(__file__).parent
# Its x has the opposite sign of our u: its left Gaussian is at the end, and every mu is mirrored.
GAUSSIANS = {"": 0, "_reg_right": 1, "_reg_left": 2}
LOSSES = {"cls_loss": "classification", "reg_loss": "localization", "al_loss": "video_label", "final_loss": "total"}


@pytest.fixture(scope="module")
def references() -> dict[str, Tensor]:
    with np.load(FOLDER / "released_asl.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER / "scripts"))
    return importlib.import_module("make_released_asl")


def recipe_of(settings: dict[str, Any]) -> Recipe:
    loss = {
        "video_label_weight": settings["al_loss_weight"],
        "localization_weight": settings.get("train_loss_weight", 1.0),
        "label_smoothing": settings.get("train_label_smoothing", 0.0),
        "center_radius": "segment" if settings.get("train_center_sample") == "none" else 1.5,
    }
    return Recipe.model_validate({"loss": loss, "sensitivity": {"mode": "released", "instance_level": False}})


def output_of(script: ModuleType, logits: Tensor, offsets: Tensor) -> Output:
    sizes = [script.LENGTH >> level for level in range(script.LEVELS)]
    columns = [
        torch.cat([torch.full((size,), float(values[level])) for level, size in enumerate(sizes)])
        for values in ([1 << level for level in range(script.LEVELS)], *zip(*script.RANGES, strict=True))
    ]
    position = torch.cat([torch.arange(size).float() * (1 << level) for level, size in enumerate(sizes)])
    mask = position < torch.tensor(script.VALID)[:, None]
    return Output(logits, offsets, mask, Points(position, *columns, tuple(sizes)), None, torch.zeros(3, 64, 1))


def truth_of(script: ModuleType) -> Truth:
    segments = [torch.tensor(own) for own in script.SEGMENTS]
    return Truth.collate(segments, [torch.tensor(own)[:, None] for own in script.LABELS], "cpu")


@pytest.mark.parametrize("case", ["as published", "other constants", "whole segments"])
def test_losses_and_gradients(case: str, references: dict[str, Tensor], script: ModuleType) -> None:
    inputs = {name: references[f"as published: {name}"] for name in ("logits", "offsets")}
    inputs = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    objective = Objective(recipe_of(script.CASES[case]), [script.CLASSES])
    curves = objective.class_sensitivity
    with torch.no_grad():
        for name, column in GAUSSIANS.items():
            curves.mu[:, column] = -references[f"as published: mu{name}"][:, 0]
            curves.raw_sigma[:, column] = references[f"as published: sigma{name}"][:, 0]
    losses = objective.train()(output_of(script, **inputs), truth_of(script))
    for theirs, ours in LOSSES.items():
        torch.testing.assert_close(losses[ours], references[f"{case}: loss {theirs}"], rtol=1e-5, atol=1e-6)

    losses["total"].backward()
    found = {name: value.grad for name, value in inputs.items()}
    assert curves.mu.grad is not None
    assert curves.raw_sigma.grad is not None
    for name, column in GAUSSIANS.items():
        found[f"mu{name}"] = -curves.mu.grad[:, column, None]
        found[f"sigma{name}"] = curves.raw_sigma.grad[:, column, None]
    for name, gradient in found.items():
        wanted = references[f"{case}: gradient {name}"]
        assert wanted.abs().max() > 0
        torch.testing.assert_close(
            gradient, wanted, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_contrastive_loss(references: dict[str, Tensor], script: ModuleType) -> None:
    features = references["contrastive: features"].clone().requires_grad_()
    valid = torch.arange(script.LENGTH) < torch.tensor(script.VALID)[:, None]
    loss = region_contrastive_loss(features, truth_of(script), valid, share=0.2, temperature=0.07)
    torch.testing.assert_close(loss, references["contrastive: loss"], rtol=1e-5, atol=1e-5)
    loss.backward()
    torch.testing.assert_close(features.grad, references["contrastive: gradient"], rtol=1e-4, atol=1e-5)


def test_a_video_without_segments_adds_what_is_absent_from_it(
    references: dict[str, Tensor], script: ModuleType
) -> None:
    """In their code, such a video is left out of the batch, or stops in a debugger."""
    logits, offsets = (references[f"as published: {name}"] for name in ("logits", "offsets"))
    logits = logits.clone().requires_grad_()
    output, truth = output_of(script, logits, offsets), truth_of(script)
    emptied = truth._replace(mask=truth.mask & torch.tensor([[True], [False], [True]]))
    losses = Objective(recipe_of(script.CASES["as published"]), [script.CLASSES]).eval()(output, emptied)
    losses["total"].backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    rest = Objective(recipe_of(script.CASES["as published"]), [script.CLASSES]).eval()(
        output._replace(logits=logits[::2], offsets=offsets[::2], mask=output.mask[::2]),
        Truth(*(part[::2] for part in truth)),
    )
    p = logits[1].detach()[output.mask[1]]
    best = p.softmax(1).amax(0).clamp(min=1 / script.CLASSES)  # what padding has
    focal = 0.75 * p.sigmoid() ** 2 * -torch.log1p(-p.sigmoid())
    assert (losses["video_label"] - rest["video_label"]).item() == pytest.approx(
        -torch.log1p(-best).sum().item() / 100, rel=1e-4
    )
    assert (losses["classification"] - rest["classification"]).item() == pytest.approx(
        focal.sum().item() / 100, rel=1e-4
    )
    torch.testing.assert_close(losses["localization"], rest["localization"])
