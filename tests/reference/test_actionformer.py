"""With all parts of ASL off, the network, the losses and the candidates are ActionFormer's."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from asl_kit.model.assignment import Truth
from asl_kit.model.decoding import decode
from asl_kit.model.network import Localizer
from asl_kit.model.objective import Objective

ARRAYS = Path(__file__).parent / "actionformer"  # made by scripts/make_actionformer.py
CASES = {"local": (9, False), "global": (0, False), "position": (5, True)}
NAMES = (
    (r"^backbone\.embd\.", "projection."),
    (r"^backbone\.embd_norm\.", "projection_norms."),
    (r"^backbone\.", ""),
    (r"\.ln1\.", ".attention_norm."),
    (r"\.ln2\.", ".mlp_norm."),
    (r"\.attn\.proj\.", ".attention.output."),
    (r"\.attn\.", ".attention."),
    (r"\.drop_path_attn\.", ".attention_path."),
    (r"\.drop_path_mlp\.", ".mlp_path."),
    (r"^(cls|reg)_head\.norm\.", r"\1_head.norms."),
    (r"^neck\.fpn_norms\.", "pyramid_norms."),
    (r"^cls_head\.cls_head\.", "classification_head.last."),
    (r"^cls_head\.head\.", "classification_head.hidden."),
    (r"^cls_head\.", "classification_head."),
    (r"^reg_head\.offset_head\.", "localization_head.last."),
    (r"^reg_head\.head\.", "localization_head.hidden."),
    (r"^reg_head\.", "localization_head."),
)


def translate(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    ours = {}
    scales = [weights.pop(f"reg_head.scale.{level}.scale") for level in range(4)]
    for name, value in weights.items():
        for pattern, replacement in NAMES:
            name = re.sub(pattern, replacement, name)
        is_norm = "norm" in name and value.ndim == 3
        ours[name] = value.flatten() if is_norm else value
    return ours | {"offset_scale": torch.stack(scales)}


@pytest.fixture(params=CASES, ids=list(CASES))
def case(request: pytest.FixtureRequest) -> tuple[dict[str, torch.Tensor], Localizer]:
    window, position = CASES[request.param]
    with np.load(ARRAYS / f"{request.param}.npz") as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    network = Localizer(
        feature_dims=[6],
        classes=3,
        width=16,
        window=window,
        stem_blocks=1,
        levels=4,
        max_length=64,
        position_embedding=position,
        drop_path=0.0,
        instance_branches=False,
    )
    weights = {name.removeprefix("weights."): v for name, v in arrays.items() if name.startswith("weights.")}
    missing, unexpected = network.load_state_dict(translate(weights), strict=False)
    assert set(missing) == {"feature_mean", "feature_scale"}
    assert not unexpected
    return arrays, network


def batch(arrays: dict[str, torch.Tensor], network: Localizer, *indices: int) -> tuple[torch.Tensor, torch.Tensor]:
    videos = [arrays[f"features_{index}"] for index in indices]
    longest = max(video.shape[1] for video in videos)
    features = torch.zeros(len(videos), 6, network.padded_length(longest))
    for row, video in zip(features, videos, strict=True):
        row[:, : video.shape[1]] = video
    mask = torch.arange(features.shape[2]) < torch.tensor([video.shape[1] for video in videos])[:, None]
    return features, mask


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in one batch"])
def test_outputs(case: tuple[dict[str, torch.Tensor], Localizer], together: bool) -> None:
    arrays, network = case
    network.eval()
    for index in (0, 1):
        with torch.no_grad():
            output = network(*batch(arrays, network, *((0, 1) if together else (index,))))
        row = index if together else 0
        valid = output.mask[row]
        torch.testing.assert_close(output.logits[row, valid], arrays[f"logits_{index}"], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(output.offsets[row, valid], arrays[f"offsets_{index}"], atol=1e-4, rtol=1e-4)


def test_losses(case: tuple[dict[str, torch.Tensor], Localizer]) -> None:
    arrays, network = case
    objective = Objective(classes=3, class_level=False, instance_level=False, contrastive_weight=0)
    truth = Truth.collate([arrays["segments_0"], arrays["segments_1"]], [arrays["labels_0"], arrays["labels_1"]], "cpu")
    losses = objective(network(*batch(arrays, network, 0, 1)), truth)
    torch.testing.assert_close(losses["classification"], arrays["cls_loss"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(losses["localization"], arrays["reg_loss"], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(losses["total"], arrays["final_loss"], atol=1e-4, rtol=1e-4)
    assert set(losses) == {"classification", "localization", "total"}


def test_candidates(case: tuple[dict[str, torch.Tensor], Localizer]) -> None:
    arrays, network = case
    network.eval()
    for index in (0, 1):
        with torch.no_grad():
            output = network(*batch(arrays, network, index))
        found = decode(
            output.logits[0],
            output.offsets[0],
            output.mask[0],
            output.points,
            min_score=0.001,
            candidates_per_level=2000,
            min_length=0.05,
        )
        expected = [arrays[f"candidate_{name}_{index}"] for name in ("segments", "scores", "labels")]
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)
