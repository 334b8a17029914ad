"""The network and its objective: padding, edge cases, switches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.networks import PARTS, make_network
from torch.nn import functional as F

from asl_kit.model.assignment import Truth, assign
from asl_kit.model.encoders.attention import local_attention
from asl_kit.model.losses import focal_loss, temporal_iou
from asl_kit.model.network import Localizer
from asl_kit.model.objective import Objective
from asl_kit.recipes.schema import Recipe


def small_network(**options: Any) -> Localizer:
    torch.manual_seed(0)
    network = make_network(drop_path=0.0, **options)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def run(network: Localizer, *videos: torch.Tensor) -> object:
    longest = max(len(video) for video in videos)
    length = network.padded_length(longest)
    features = torch.stack([F.pad(video, (0, 0, 0, length - len(video))) for video in videos])
    mask = torch.arange(length) < torch.tensor([len(video) for video in videos])[:, None]
    with torch.no_grad():
        return network(features, mask)


@pytest.mark.parametrize("parts", [{}, {"attention_window": 0}, *PARTS.values()], ids=["local", "global", *PARTS])
@pytest.mark.parametrize("length", [1, 7, 8, 9, 31, 32, 40])
def test_a_video_does_not_depend_on_its_neighbours_in_the_batch(length: int, parts: dict[str, Any]) -> None:
    network = small_network(**parts)
    generator = torch.Generator().manual_seed(length)
    video, other = torch.randn(length, 5, generator=generator), torch.randn(50, 5, generator=generator)
    alone, together = run(network, video), run(network, video, other)
    for name in ("logits", "offsets", "sensitivity"):
        mine = getattr(alone, name)[0, alone.mask[0]]  # type: ignore[attr-defined]
        beside = getattr(together, name)[0, together.mask[0]]  # type: ignore[attr-defined]
        torch.testing.assert_close(mine, beside, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("reach", [0, 2])
@pytest.mark.parametrize("steps", [1, 3, 16, 17, 50])
def test_local_attention_equals_masked_global_attention(steps: int, reach: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    query, key, value = (torch.randn(2, 3, steps, 4, generator=generator) for _ in range(3))
    mask = torch.arange(steps) < torch.tensor([[steps], [max(1, steps // 2)]])
    near = (torch.arange(steps)[:, None] - torch.arange(steps)).abs() <= reach
    allowed = near & mask[:, None, None, :]
    bias = torch.zeros(allowed.shape).masked_fill(~allowed, -1e4)
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    found = local_attention(*(x.transpose(1, 2) for x in (query, key, value)), mask, reach=reach).transpose(1, 2)
    for video in range(2):
        valid = mask[video]
        torch.testing.assert_close(found[video][:, valid], expected[video][:, valid], atol=1e-5, rtol=1e-5)


def test_several_streams_are_projected_apart() -> None:
    network = small_network(feature_dims=[3, 2])
    assert [stream.conv.out_channels for stream in network.streams] == [8, 8]  # type: ignore[union-attr]
    assert run(network, torch.randn(20, 5)).logits.shape[2] == 3  # type: ignore[attr-defined]


def test_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="sequence length 12 is not a multiple of 8"):
        small_network()(torch.zeros(1, 12, 5), torch.ones(1, 12, dtype=torch.bool))


def test_the_classifier_starts_at_the_class_prior() -> None:
    network = make_network(class_prior=0.02)
    torch.testing.assert_close(network.classification_head.last_bias.sigmoid(), torch.full((3,), 0.02))


CONTRASTIVE = {"contrastive": {"enabled": True}}


def sensitivity(class_level: bool = False, instance_level: bool = False, mode: str = "quality") -> dict[str, Any]:
    return {"sensitivity": {"class_level": class_level, "instance_level": instance_level, "mode": mode}}


@pytest.mark.parametrize(
    ("tables", "names"),
    [
        (sensitivity(), {"classification", "localization", "total"}),
        (sensitivity(class_level=True), {"classification", "localization", "sensitivity", "total"}),
        (sensitivity(class_level=True, mode="paper"), {"classification", "localization", "total"}),
        (sensitivity(instance_level=True), {"classification", "localization", "sensitivity", "total"}),
        (sensitivity() | CONTRASTIVE, {"classification", "localization", "contrastive", "total"}),
        (CONTRASTIVE, {"classification", "localization", "sensitivity", "contrastive", "total"}),
    ],
    ids=["baseline", "class level", "class level as published", "instance level", "contrastive", "all"],
)
@pytest.mark.parametrize("parts", [{}, PARTS["sgp, trident"]], ids=["attention, offsets", "sgp, trident"])
@pytest.mark.parametrize("segments", [0, 1, 5])
def test_each_part_can_be_switched_off(
    tables: dict[str, Any], names: set[str], segments: int, parts: dict[str, Any]
) -> None:
    network = small_network(**parts).train()
    objective = Objective(Recipe.model_validate(tables), [3])
    start = torch.rand(segments) * 30
    truth = Truth.collate([torch.stack((start, start + 6), 1)], [torch.arange(segments)[:, None] % 3], "cpu")
    losses = objective(network(torch.randn(1, 48, 5), torch.ones(1, 48, dtype=torch.bool)), truth)
    assert set(losses) == names
    losses["total"].backward()
    gradients = [p.grad for p in [*network.parameters(), *objective.parameters()] if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_losses_of_videos_add_up_to_those_of_their_batch(parts: dict[str, Any]) -> None:
    """As processes that share a batch need it; two segments of one length and two classes among them."""
    network = small_network(**parts, sensitivity={"instance_level": False})
    tables = {"loss": {"tiou_weight_power": 0.5}, **sensitivity()}
    objective = Objective(Recipe.model_validate(tables), [3]).eval()
    videos = torch.randn(2, 48, 5)
    segments = [torch.tensor([[3.0, 9.0], [3.0, 9.0], [20.0, 38.0]]), torch.tensor([[5.0, 17.0]])]
    labels = [torch.tensor([[0], [2], [1]]), torch.tensor([[1]])]
    mask = torch.arange(48) < torch.tensor([[40], [31]])

    def total(*rows: int) -> torch.Tensor:
        chosen = list(rows)
        truth = Truth.collate([segments[row] for row in rows], [labels[row] for row in rows], "cpu")
        loss: torch.Tensor = objective(network(videos[chosen], mask[chosen]), truth)["total"]
        return loss

    assert total(0) > 0.01
    torch.testing.assert_close(total(0) + total(1), total(0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("parts", [{}, PARTS["sgp, trident"]], ids=["attention, offsets", "sgp, trident"])
def test_classification_is_weighted_by_tiou(power: float, parts: dict[str, Any]) -> None:
    """With a power of 1, the loss of a positive's class is multiplied by the tIoU of what the point locates."""
    network = small_network(**parts, sensitivity={"instance_level": False})
    objective = Objective(Recipe.model_validate({"loss": {"tiou_weight_power": power}, **sensitivity()}), [3]).eval()
    truth = Truth.collate([torch.tensor([[3.0, 9.0]])], [torch.tensor([[2]])], "cpu")
    output = network(torch.randn(1, 48, 5), torch.arange(48)[None] < 40)
    targets = assign(output.points, output.mask, truth, classes=3, center_radius=1.5)
    losses = focal_loss(output.logits, targets.classes) * output.mask[..., None]
    for point in targets.positive[0].nonzero().flatten().tolist():
        place = [torch.tensor(number) for number in (0, point, 2)]
        offsets = output.reading.at(output.offsets, output.points.sizes, *place)
        losses[0, point, 2] *= temporal_iou(offsets, targets.offsets[0, point]).clamp(min=1e-8) ** power
    assert targets.positive.sum() > 2
    assert objective(output, truth)["classification"].item() == pytest.approx(losses.sum().item() / 100, rel=1e-5)


@pytest.mark.parametrize("detached", [True, False])
def test_the_evaluators_loss_reaches_the_encoder_only_if_wanted(detached: bool) -> None:
    network = small_network(sensitivity={"detached": detached}).train()
    output = network(torch.randn(1, 24, 5), torch.ones(1, 24, dtype=torch.bool))
    assert output.sensitivity is not None
    output.sensitivity.sum().backward()
    assert all(p.grad is not None for p in network.classification_sensitivity.parameters())  # type: ignore[union-attr]
    encoder = [p.grad is None for part in (network.projection, network.stem, network.branch) for p in part.parameters()]
    assert all(encoder) if detached else not any(encoder)


def test_the_moving_average_of_positives_moves_only_in_training() -> None:
    network, objective = small_network(), Objective(Recipe(), [3])  # starts at 100, momentum 0.9
    truth = Truth.collate([torch.tensor([[4.0, 9.0]])], [torch.tensor([[1]])], "cpu")
    output = network(torch.randn(1, 24, 5), torch.ones(1, 24, dtype=torch.bool))
    positives = int(assign(output.points, output.mask, truth, classes=3, center_radius=1.5).positive.sum())
    assert positives > 0
    objective.eval()(output, truth)
    assert objective.average_positives.item() == 100
    objective.train()(output, truth)
    assert objective.average_positives.item() == pytest.approx(90 + 0.1 * positives)


def test_the_shortest_segment_wins_a_point() -> None:
    network = small_network()
    points = network.points([16, 8, 4, 2])
    truth = Truth.collate([torch.tensor([[2.0, 9.9], [4.0, 7.5]])], [torch.tensor([[0], [2]])], "cpu")
    targets = assign(points, torch.ones(1, 30, dtype=torch.bool), truth, classes=3, center_radius=1.5)
    assert targets.positive[0, 6]
    assert targets.segment[0, 6] == 1
    assert targets.classes[0, 6].tolist() == [0, 0, 1]
    torch.testing.assert_close(targets.offsets[0, 6], torch.tensor([2.0, 1.5]))


@pytest.mark.parametrize(
    ("padding", "length", "padded"),
    [("spare", 32, 40), ("spare", 33, 48), ("full", 1, 48), ("full", 48, 48), ("full", 49, 64), ("full", 65, 96)],
)
def test_padded_length(padding: str, length: int, padded: int) -> None:
    # Attention blocks of 4, 6, 4 and 4 features on levels of stride 1, 2, 4 and 8: the longest is 32 features.
    network = small_network(sequence_length=48, attention_window=(5, 7, 5, 5), padding=padding)
    assert network.padded_length(length) == padded


def test_regression_ranges_may_overlap() -> None:
    points = small_network(regression_overlap=2.0).points([8, 4, 2, 1])
    ranges = list(dict.fromkeys(zip(points.shortest.tolist(), points.longest.tolist(), strict=True)))
    assert ranges == [(0, 4), (2, 8), (4, 16), (8, float("inf"))]


def test_each_level_has_its_own_window() -> None:
    network = small_network(attention_window=(5, 7, 0, 1))
    assert [block.attention.reach for block in [*network.stem, *network.branch]] == [2, 2, 3, None, 0]
