"""The whole objective on one small pyramid, every term worked out by hand, in each mode."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from asl_kit.model.assignment import UNLABELLED, Truth, assign
from asl_kit.model.network import Output, Points
from asl_kit.model.objective import Objective
from asl_kit.recipes.schema import Recipe

LN2 = math.log(2)
# One level of 8 points, one segment [1, 5) of class 0 of 2. Points 2, 3 and 4 lie within 1.5 of its centre.
TRUTH = Truth(torch.tensor([[[1.0, 5.0]]]), torch.tensor([[[0]]]), torch.tensor([[True]]))
U = (-0.25, 0.0, 0.25)
FOCAL = 0.25 * 0.25 * LN2 + 0.75 * 0.25 * LN2  # of a positive point: class 0 and class 1 at probability 1/2
FOCAL_NEGATIVE = 2 * 0.75 * 0.25 * LN2
DIOU = (0.5 + 1 / 16, 0.5, 0.5 + 1 / 16)  # predicted (1, 1); true (1, 3), (2, 2), (3, 1)
Q_CLS, Q_LOC = (0.2, 0.6, 0.4), (0.9, 0.3, 0.6)
NORMALIZER = 100.0


def output_of(logits: Tensor, offsets: Tensor, sensitivity: Tensor | None) -> Output:
    position = torch.arange(8.0)
    points = Points(position, torch.ones(8), torch.zeros(8), torch.full((8,), math.inf), (8,))
    mask = torch.tensor([[True] * 7 + [False]])  # the last point is padding
    return Output(logits, offsets, mask, points, sensitivity, torch.zeros(1, 4, 8, dtype=logits.dtype))


def outputs(*, instance_level: bool) -> Output:
    q = torch.full((1, 8, 2), 0.5)
    q[0, 2:5] = torch.tensor([Q_CLS, Q_LOC]).T
    return output_of(torch.zeros(1, 8, 2), torch.ones(1, 8, 2), q if instance_level else None)


def objective_of(**sensitivity: Any) -> Objective:
    recipe = Recipe.model_validate({"loss": {"initial_positives": NORMALIZER}, "sensitivity": sensitivity})
    return Objective(recipe, [2])


def expected(h_cls: list[float], h_loc: list[float]) -> dict[str, float]:
    negatives = 4 * FOCAL_NEGATIVE
    return {
        "classification": (negatives + sum(h * FOCAL for h in h_cls)) / NORMALIZER,
        "localization": sum(h * loss for h, loss in zip(h_loc, DIOU, strict=True)) / NORMALIZER,
    }


# Of level 0, where the stride is 1, the released form differs in the localization's weights only.
P_CLS = [math.exp(-(u**2) / 2) for u in U]
P_LOC = [(math.exp(-((u + 0.5) ** 2) / 2) + math.exp(-((u - 0.5) ** 2) / 2)) / 2 for u in U]


P_LOC_RELEASED = [p_cls * p_loc for p_cls, p_loc in zip(P_CLS, P_LOC, strict=True)]


def to_mean_one(h: list[float]) -> list[float]:
    return [value * len(h) / sum(h) for value in h]


def both(p: list[float], q: tuple[float, ...]) -> list[float]:
    return [a + b for a, b in zip(p, q, strict=True)]


def squared_error(learned: list[float] | tuple[float, ...], quality: float) -> float:
    return sum((value - quality) ** 2 for value in learned) / len(learned)


# Every point has probability 1/2 for the true class and a temporal IoU of 1/2.
L_S_INSTANCE = squared_error(Q_CLS, 0.5) + squared_error(Q_LOC, 0.5)
L_S_CLASS = squared_error(P_CLS, 0.5) + squared_error(P_LOC, 0.5)


@pytest.mark.parametrize(
    ("class_level", "instance_level", "mode", "h_cls", "h_loc", "l_s"),
    [
        (False, False, "paper", [1.0] * 3, [1.0] * 3, None),
        (True, False, "paper", P_CLS, P_LOC, None),
        (False, True, "paper", list(Q_CLS), list(Q_LOC), L_S_INSTANCE),
        (True, True, "paper", both(P_CLS, Q_CLS), both(P_LOC, Q_LOC), L_S_INSTANCE),
        (True, False, "released", P_CLS, P_LOC_RELEASED, None),
        (True, True, "released", both(P_CLS, Q_CLS), both(P_LOC_RELEASED, Q_LOC), L_S_INSTANCE),
        (True, False, "normalized", to_mean_one(P_CLS), to_mean_one(P_LOC), None),
        (
            True,
            True,
            "normalized",
            to_mean_one(both(P_CLS, Q_CLS)),
            to_mean_one(both(P_LOC, Q_LOC)),
            L_S_INSTANCE,
        ),
        (True, False, "quality", to_mean_one(P_CLS), to_mean_one(P_LOC), L_S_CLASS),
        (
            True,
            True,
            "quality",
            to_mean_one(both(P_CLS, Q_CLS)),
            to_mean_one(both(P_LOC, Q_LOC)),
            L_S_INSTANCE + L_S_CLASS,
        ),
    ],
    ids=[
        "baseline",
        "paper, class level",
        "paper, instance level",
        "paper, both",
        "released, class level",
        "released, both",
        "normalized, class level",
        "normalized, both",
        "quality, class level",
        "quality, both",
    ],
)
def test_losses_by_hand(
    class_level: bool, instance_level: bool, mode: str, h_cls: list[float], h_loc: list[float], l_s: float | None
) -> None:
    objective = objective_of(
        class_level=class_level, instance_level=instance_level, mode=mode, evaluator_weight=0.7
    ).eval()
    losses = objective(outputs(instance_level=instance_level), TRUTH)
    by_hand = expected(h_cls, h_loc)
    total = sum(by_hand.values())
    if l_s is not None:
        by_hand["sensitivity"] = l_s
        total += 0.7 * l_s
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(by_hand | {"total": total})


# The ends of a segment of length 4 are missed by 0 and 2, 1 and 1, 2 and 0.
START = [math.exp(-error / (0.05 * 4)) for error in (0, 1, 2)]
END = START[::-1]


@pytest.mark.parametrize("mode", ["paper", "released", "normalized", "quality"])
def test_what_is_learned_of_each_end(mode: str) -> None:
    """q_loc learns the mean over both ends, in the mode quality each curve that of its own."""

    def error(learned: list[float] | tuple[float, ...], wanted: list[float]) -> float:
        return sum((value - target) ** 2 for value, target in zip(learned, wanted, strict=True)) / 3

    expected = error(Q_CLS, [0.5] * 3) + error(Q_LOC, [(a + b) / 2 for a, b in zip(START, END, strict=True)])
    if mode == "quality":
        expected += error(P_CLS, [0.5] * 3)
        expected += error([math.exp(-((u + 0.5) ** 2) / 2) for u in U], START)
        expected += error([math.exp(-((u - 0.5) ** 2) / 2) for u in U], END)
    losses = objective_of(mode=mode, localization_target="ends").eval()(outputs(instance_level=True), TRUTH)
    usual = objective_of(mode=mode).eval()(outputs(instance_level=True), TRUTH)
    assert losses["sensitivity"].item() == pytest.approx(expected)
    for name in ("classification", "localization"):
        assert losses[name].item() == usual[name].item(), "the target changes what is learned, not how it weights"


VOCABULARIES = [2, 3]
SEGMENTS = st.lists(
    st.tuples(
        st.floats(0, 12), st.floats(1, 9), st.sampled_from([(0, 2), (1, 4), (1, UNLABELLED), (UNLABELLED, 3)])
    ),
    max_size=3,
)  # fmt: skip


def random_batch(videos: list[list[tuple[float, float, tuple[int, int]]]]) -> tuple[Output, Truth]:
    generator = torch.Generator().manual_seed(0)
    sizes, strides = (16, 8), (1.0, 2.0)
    position = torch.cat([torch.arange(size) * stride for size, stride in zip(sizes, strides, strict=True)])
    stride = torch.cat([torch.full((size,), step) for size, step in zip(sizes, strides, strict=True)])
    points = Points(position, stride, torch.zeros(24), torch.full((24,), math.inf), sizes)
    rand = lambda width: torch.rand(len(videos), 24, width, dtype=torch.float64, generator=generator)  # noqa: E731
    mask = torch.ones(len(videos), 24, dtype=torch.bool)
    output = Output(rand(5) - 0.5, 4 * rand(2), mask, points, rand(2), torch.zeros(len(videos), 4, 16))
    segments = [torch.tensor([(s, s + n) for s, n, _ in rows]).reshape(-1, 2) for rows in videos]
    labels = [torch.tensor([names for *_, names in rows], dtype=torch.int64).reshape(-1, 2) for rows in videos]
    return output, Truth.collate(segments, labels, "cpu")


def ends_objective() -> Objective:
    loss = {"center_radius": "segment", "positive_levels": "all"}
    recipe = Recipe.model_validate({"loss": loss, "sensitivity": {"localization_target": "ends"}})
    objective = Objective(recipe, VOCABULARIES).double().eval()
    with torch.no_grad():
        objective.class_sensitivity.mu += torch.arange(15).reshape(5, 3) / 20
    return objective


@given(videos=st.lists(SEGMENTS, min_size=1, max_size=2))
@example(videos=[[]])
@example(videos=[[(2.0, 9.0, (1, UNLABELLED)), (6.0, 5.0, (0, 2))], []])
@settings(deadline=None, max_examples=25)
def test_what_is_learned_of_each_end_in_a_plain_loop(videos: list[list[tuple[float, float, tuple[int, int]]]]) -> None:
    output, truth = random_batch(videos)
    objective = ends_objective()
    targets = assign(output.points, output.mask, truth, classes=5, center_radius="segment", levels="all")
    mu = objective.class_sensitivity.mu.tolist()
    errors = []
    assert output.sensitivity is not None
    for video, point in targets.positive.nonzero().tolist():
        start, end = truth.segments[video, int(targets.segment[video, point])].tolist()
        at, stride = output.points.position[point].item(), output.points.stride[point].item()
        u = (at - (start + end) / 2) / (end - start)
        predicted = [offset * stride for offset in output.offsets[video, point].tolist()]
        missed = abs(predicted[0] - (at - start)), abs(predicted[1] - (end - at))
        good = [math.exp(-error / (0.05 * (end - start))) for error in missed]
        known = [label for label in targets.labels[video, point].tolist() if label != UNLABELLED]
        probability = [1 / (1 + math.exp(-output.logits[video, point, label].item())) for label in known]
        q_cls, q_loc = output.sensitivity[video, point].tolist()
        error = (q_cls - sum(probability) / len(known)) ** 2 + (q_loc - sum(good) / 2) ** 2
        curves = [[math.exp(-((u - m) ** 2) / 2) for m in mu[label]] for label in known]
        error += sum((curve[0] - value) ** 2 for curve, value in zip(curves, probability, strict=True))
        for side in (0, 1):
            error += (sum(curve[1 + side] for curve in curves) / len(known) - good[side]) ** 2
        errors.append(error)
    losses = objective(output, truth)
    assert losses["sensitivity"].item() == pytest.approx(sum(errors) / max(len(errors), 1), rel=1e-5, abs=1e-9)
    losses["total"].backward()
    gradient = objective.class_sensitivity.mu.grad
    assert gradient is not None
    assert gradient.isfinite().all()


def test_the_losses_of_several_processes_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [[(2.0, 9.0, (1, 4))], [(1.0, 4.0, (0, UNLABELLED)), (8.0, 6.0, (1, 2))], []]
    output, truth = random_batch(videos)
    whole = ends_objective()(output, truth)
    positives = assign(output.points, output.mask, truth, classes=5, center_radius="segment", levels="all").positive
    monkeypatch.setattr("asl_kit.model.objective.global_sum", lambda _: positives.sum())
    alone = []
    for video in range(3):
        rows = slice(video, video + 1)
        assert output.sensitivity is not None
        part = output._replace(
            logits=output.logits[rows],
            offsets=output.offsets[rows],
            mask=output.mask[rows],
            sensitivity=output.sensitivity[rows],
            finest=output.finest[rows],
        )
        alone.append(ends_objective()(part, Truth(*(column[rows] for column in truth))))
    for name, value in whole.items():
        assert sum(losses[name].item() for losses in alone) == pytest.approx(value.item()), name


def test_a_process_without_videos_knows_no_classes_of_a_video() -> None:
    recipe = Recipe.model_validate({"sensitivity": {"mode": "released"}, "loss": {"video_label_weight": 0.2}})
    objective, output = Objective(recipe, [2]).eval(), outputs(instance_level=True)
    empty = Truth(TRUTH.segments, TRUTH.labels, TRUTH.mask & False)
    assert objective(output, empty)["video_label"].item() > 0
    assert objective(output._replace(mask=output.mask & False), empty)["total"].item() == 0


@pytest.mark.parametrize("mode", ["paper", "normalized", "quality"])
def test_who_teaches_the_gaussians(mode: str) -> None:
    """Paper and normalized: the losses that they weight. Quality: L_s alone, so that they cannot cheapen the losses."""
    objective = objective_of(mode=mode).eval()
    losses = objective(outputs(instance_level=True), TRUTH)
    detection = losses["classification"] + losses["localization"]
    assert detection.requires_grad == (mode != "quality")
    assert losses["sensitivity"].requires_grad == (mode == "quality")
    losses["total"].backward()
    mu = objective.class_sensitivity.mu.grad
    assert mu is not None
    assert mu[0].abs().max() > 0
    assert mu[1].abs().max() == 0, "class 1 has no segment"


def test_in_paper_mode_narrower_gaussians_cost_less() -> None:
    """The trap: with weights that are not normalised the loss falls as every sigma falls."""
    objective = objective_of(mode="paper", instance_level=False)
    losses = objective.eval()(outputs(instance_level=False), TRUTH)
    losses["total"].backward()
    gradient = objective.class_sensitivity.raw_sigma.grad
    assert gradient is not None
    assert (gradient[0] > 0).all()


@pytest.mark.parametrize("mode", ["paper", "normalized", "quality"])
def test_gradients_of_the_network_outputs(mode: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 8, 2, dtype=torch.float64, generator=generator).requires_grad_()
    offsets = (torch.rand(1, 8, 2, dtype=torch.float64, generator=generator) + 0.5).requires_grad_()
    q = outputs(instance_level=True).sensitivity
    assert q is not None
    objective = objective_of(mode=mode, evaluator_weight=0.0).double().eval()

    def total(logits: Tensor, offsets: Tensor) -> Tensor:
        losses: dict[str, Tensor] = objective(output_of(logits, offsets, q.double()), TRUTH)
        return losses["total"]

    assert torch.autograd.gradcheck(total, (logits, offsets))
