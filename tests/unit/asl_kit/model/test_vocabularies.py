"""Two vocabularies learned together: targets, losses and combinations, against values worked out by hand."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asl_kit.model.assignment import UNLABELLED, Truth, assign
from asl_kit.model.contrastive import contrastive_loss
from asl_kit.model.decoding import decode_combinations, split_combination
from asl_kit.model.network import Output, Points
from asl_kit.model.objective import Objective
from asl_kit.model.sensitivity import ClassSensitivity
from asl_kit.recipes.schema import Recipe

VERBS, NOUNS = 2, 3
CLASSES = VERBS + NOUNS
VERB, NOUN = 1, VERBS + 2  # the labels of the segment
ALPHA, GAMMA = 0.25, 2.0
NORMALIZER = 100.0
U = (-0.25, 0.0, 0.25)  # of points 2, 3 and 4, which answer for the segment [1, 5)
NOUN_MU = (0.25, -0.4, 0.3)
OVERLAP = 0.5  # predicted (1, 1); true (1, 3), (2, 2), (3, 1)
DIOU = (0.5 + 1 / 16, 0.5, 0.5 + 1 / 16)
Q_CLS, Q_LOC = (0.2, 0.6, 0.4), (0.9, 0.3, 0.6)
PROBABILITY = {VERB: 0.5, NOUN: 0.75}


def points_of(length: int) -> Points:
    return Points(
        torch.arange(float(length)), torch.ones(length), torch.zeros(length), torch.full((length,), math.inf), (length,)
    )


def truth_of(*rows: tuple[float, float, int, int]) -> Truth:
    segments = torch.tensor([row[:2] for row in rows])
    return Truth.collate([segments], [torch.tensor([row[2:] for row in rows])], "cpu")


def output_of() -> Output:
    """Seven points and a padded one; every class at probability 1/2 but the right noun, at 3/4."""
    logits = torch.zeros(1, 8, CLASSES)
    logits[..., NOUN] = math.log(3)
    q = torch.full((1, 8, 2), 0.5)
    q[0, 2:5] = torch.tensor([Q_CLS, Q_LOC]).T
    mask = torch.tensor([[True] * 7 + [False]])
    return Output(logits, torch.ones(1, 8, 2), mask, points_of(8), q, torch.zeros(1, 8, 4))


def focal(probability: float, target: int) -> float:
    right, weight = (probability, ALPHA) if target else (1 - probability, 1 - ALPHA)
    return weight * math.pow(1 - right, GAMMA) * -math.log(right)


def focal_of_verbs(label: int) -> float:
    return sum(focal(0.5, int(number == label)) for number in range(VERBS))


def focal_of_nouns(label: int) -> float:
    numbers = range(VERBS, CLASSES)
    return sum(focal(0.75 if number == NOUN else 0.5, int(number == label)) for number in numbers)


def gaussian(u: float, mu: float) -> float:
    return math.exp(-((u - mu) ** 2) / 2)


def ends(u: float, start: float, end: float) -> float:
    return (gaussian(u, start) + gaussian(u, end)) / 2


P_VERB = [gaussian(u, 0.0) for u in U]
P_NOUN = [gaussian(u, NOUN_MU[0]) for u in U]
P_LOC_VERB = [ends(u, -0.5, 0.5) for u in U]
P_LOC_NOUN = [ends(u, *NOUN_MU[1:]) for u in U]


def mean(*columns: list[float]) -> list[float]:
    return [sum(values) / len(values) for values in zip(*columns, strict=True)]


def objective_of(*, label_smoothing: float = 0.0, **sensitivity: Any) -> Objective:
    loss = {"initial_positives": NORMALIZER, "label_smoothing": label_smoothing}
    recipe = Recipe.model_validate({"loss": loss, "sensitivity": sensitivity})
    objective = Objective(recipe, [VERBS, NOUNS]).eval()
    with torch.no_grad():
        objective.class_sensitivity.mu[NOUN] = torch.tensor(NOUN_MU)
    return objective


NEGATIVES = 4 * (focal_of_verbs(UNLABELLED) + focal_of_nouns(UNLABELLED))


@pytest.mark.parametrize(
    ("labels", "h_verb", "h_noun", "h_loc"),
    [
        ((VERB, NOUN), P_VERB, P_NOUN, mean(P_LOC_VERB, P_LOC_NOUN)),
        ((VERB, UNLABELLED), P_VERB, [0.0] * 3, P_LOC_VERB),
        ((UNLABELLED, NOUN), [0.0] * 3, P_NOUN, P_LOC_NOUN),
    ],
    ids=["verb and noun", "verb only", "noun only"],
)
def test_each_vocabulary_is_weighted_by_its_own_class(
    labels: tuple[int, int], h_verb: list[float], h_noun: list[float], h_loc: list[float]
) -> None:
    """Paper mode. A vocabulary without a label has, at the segment's points, neither targets nor negatives."""
    losses = objective_of(mode="paper", instance_level=False)(output_of(), truth_of((1.0, 5.0, *labels)))
    positives = sum(h * focal_of_verbs(VERB) for h in h_verb) + sum(h * focal_of_nouns(NOUN) for h in h_noun)
    expected = {
        "classification": (NEGATIVES + positives) / NORMALIZER,
        "localization": sum(h * loss for h, loss in zip(h_loc, DIOU, strict=True)) / NORMALIZER,
    }
    expected["total"] = sum(expected.values())
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected)


@pytest.mark.parametrize(
    "labels", [(VERB, NOUN), (VERB, UNLABELLED), (UNLABELLED, NOUN)], ids=["verb and noun", "verb only", "noun only"]
)
def test_what_the_evaluator_learns(labels: tuple[int, int]) -> None:
    """q_cls learns the mean of the right probabilities, each Gaussian that of its own class."""
    losses = objective_of(mode="quality")(output_of(), truth_of((1.0, 5.0, *labels)))
    known = [label for label in labels if label != UNLABELLED]
    quality = sum(PROBABILITY[label] for label in known) / len(known)
    p_cls = {VERB: P_VERB, NOUN: P_NOUN}
    p_loc = mean(*({VERB: P_LOC_VERB, NOUN: P_LOC_NOUN}[label] for label in known))

    def error(learned: list[float] | tuple[float, ...], wanted: float) -> float:
        return sum((value - wanted) ** 2 for value in learned) / 3

    expected = error(Q_CLS, quality) + error(Q_LOC, OVERLAP) + error(p_loc, OVERLAP)
    expected += sum(error(p_cls[label], PROBABILITY[label]) for label in known)
    assert losses["sensitivity"].item() == pytest.approx(expected)


@pytest.mark.parametrize("mode", ["paper", "normalized", "quality"])
def test_only_the_gaussians_of_the_segments_classes_learn(mode: str) -> None:
    objective = objective_of(mode=mode)
    objective(output_of(), truth_of((1.0, 5.0, VERB, UNLABELLED)))["total"].backward()
    gradient = objective.class_sensitivity.mu.grad
    assert gradient is not None
    assert gradient[VERB].abs().max() > 0
    assert gradient[[number for number in range(CLASSES) if number != VERB]].abs().max() == 0


def test_normalized_weights_have_mean_one_in_each_vocabulary() -> None:
    losses = objective_of(mode="normalized", instance_level=False)(output_of(), truth_of((1.0, 5.0, VERB, NOUN)))
    positives = 3 * (focal_of_verbs(VERB) + focal_of_nouns(NOUN))
    assert losses["classification"].item() == pytest.approx((NEGATIVES + positives) / NORMALIZER)


def test_labels_are_smoothed_over_each_vocabulary_by_itself() -> None:
    smoothing = 0.1
    objective = objective_of(class_level=False, instance_level=False, label_smoothing=smoothing)
    found = objective(output_of(), truth_of((1.0, 5.0, VERB, NOUN)))["classification"].item()

    def smoothed(probability: float, target: int, classes: int) -> float:
        y = target * (1 - smoothing) + smoothing / (classes + 1)
        right = probability * y + (1 - probability) * (1 - y)
        entropy = -(y * math.log(probability) + (1 - y) * math.log(1 - probability))
        return (ALPHA * y + (1 - ALPHA) * (1 - y)) * math.pow(1 - right, GAMMA) * entropy

    expected = 0.0
    for point in range(7):
        wanted = {VERB, NOUN} if point in (2, 3, 4) else set()
        for number in range(CLASSES):
            probability, classes = (0.75 if number == NOUN else 0.5), (VERBS if number < VERBS else NOUNS)
            expected += smoothed(probability, int(number in wanted), classes)
    assert found == pytest.approx(expected / NORMALIZER)


def test_targets_of_both_vocabularies() -> None:
    mask = torch.ones(1, 8, dtype=torch.bool)
    targets = assign(points_of(8), mask, truth_of((1.0, 5.0, VERB, NOUN)), classes=CLASSES, center_radius=1.5)
    assert targets.positive[0].nonzero().flatten().tolist() == [2, 3, 4]
    assert targets.classes[0, 3].tolist() == [0, 1, 0, 0, 1]
    assert targets.classes[0, 0].tolist() == [0] * CLASSES
    assert targets.labels[0, 3].tolist() == [VERB, NOUN]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["verb first", "noun first"])
def test_a_verb_and_a_noun_of_the_same_time_in_two_rows_are_one_action(order: tuple[int, int]) -> None:
    rows = [(1.0, 5.0, VERB, UNLABELLED), (1.0, 5.0, UNLABELLED, NOUN)]
    mask = torch.ones(1, 8, dtype=torch.bool)
    truth = truth_of(*(rows[place] for place in order))
    targets = assign(points_of(8), mask, truth, classes=CLASSES, center_radius=1.5)
    assert targets.classes[0, 3].tolist() == [0, 1, 0, 0, 1]
    assert targets.labels[0, 3].tolist() == [VERB, NOUN]
    one = objective_of(mode="quality")
    whole = one(output_of(), truth_of((1.0, 5.0, VERB, NOUN)))
    for name, value in one(output_of(), truth).items():
        torch.testing.assert_close(value, whole[name])


def test_curves_are_each_vocabularys_own_and_their_mean_for_the_ends() -> None:
    curves = ClassSensitivity(CLASSES)
    with torch.no_grad():
        curves.mu[NOUN] = torch.tensor(NOUN_MU)
    labels = torch.tensor([[VERB, NOUN], [VERB, UNLABELLED], [UNLABELLED, NOUN]])
    p = curves(torch.full((3,), U[2]), labels)
    assert p[0].tolist() == pytest.approx([P_VERB[2], P_NOUN[2], (P_LOC_VERB[2] + P_LOC_NOUN[2]) / 2])
    assert p[1, [0, 2]].tolist() == pytest.approx([P_VERB[2], P_LOC_VERB[2]])
    assert p[2, [1, 2]].tolist() == pytest.approx([P_NOUN[2], P_LOC_NOUN[2]])


def test_contrastive_losses_of_the_vocabularies_are_added_up() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = truth_of((1.0, 6.0, 0, 2), (8.0, 12.0, 1, 2), (14.0, 18.0, 0, UNLABELLED))
    features = torch.randn(1, 20, 4, generator=generator)
    h, valid = torch.rand(1, 3, 20, 3, generator=generator), torch.ones(1, 20, dtype=torch.bool)

    def loss(h: Tensor, labels: Tensor) -> float:
        own = truth._replace(labels=labels)
        return contrastive_loss(features, h, own, valid, share=0.4, temperature=0.5).item()

    verb, noun = loss(h[..., [0, 2]], truth.labels[..., :1]), loss(h[..., [1, 2]], truth.labels[..., 1:])
    assert verb != pytest.approx(noun)
    assert loss(h, truth.labels) == pytest.approx(verb + noun)
    # A segment without a noun is no one's partner: with a class of its own it would be a negative of the others.
    alone = truth.labels[..., 1:].clone()
    alone[0, 2] = 3
    assert loss(h[..., [1, 2]], alone) > noun


logits = st.lists(st.lists(st.floats(-4, 4), min_size=CLASSES, max_size=CLASSES), min_size=1, max_size=5)


@given(logits)
def test_combinations_equal_all_pairs(rows: list[list[float]]) -> None:
    table = torch.tensor(rows)
    offsets, points = torch.ones(1, len(rows), 2), points_of(len(rows))
    mask = torch.ones(1, len(rows), dtype=torch.bool)
    found = decode_combinations(
        table[None].split([VERBS, NOUNS], dim=2), offsets, mask, points,
        classes_per_point=9, min_score=0.2, candidates_per_level=1000, min_length=0.0,
    )  # fmt: skip
    probability = table.double().sigmoid().tolist()
    expected = {
        (point, verb, noun): math.sqrt(row[verb] * row[VERBS + noun])
        for point, row in enumerate(probability)
        for verb, noun in itertools.product(range(VERBS), range(NOUNS))
    }
    expected = {key: score for key, score in expected.items() if score > 0.2}
    keys = [
        (round(segment.mean().item()), *split_combination(label, [VERBS, NOUNS]))
        for segment, label in zip(found.segments[0], found.labels[0].tolist(), strict=True)
    ]
    scores = {key: score for key, score in zip(keys, found.scores[0].tolist(), strict=True) if score}
    assert scores == pytest.approx(expected)


def test_few_classes_of_a_point_are_combined_the_best_first() -> None:
    table = torch.tensor([[[2.0, 1.0, 0.0, 3.0, -1.0]]])
    found = decode_combinations(
        table.split([VERBS, NOUNS], dim=2), torch.ones(1, 1, 2), torch.ones(1, 1, dtype=torch.bool), points_of(1),
        classes_per_point=1, min_score=0.0, candidates_per_level=9, min_length=0.0,
    )  # fmt: skip
    assert split_combination(int(found.labels), [VERBS, NOUNS]) == [0, 1]


def test_padding_is_never_combined() -> None:
    table, mask = torch.full((1, 2, CLASSES), 3.0), torch.tensor([[True, False]])
    found = decode_combinations(
        table.split([VERBS, NOUNS], dim=2), torch.ones(1, 2, 2), mask, points_of(2),
        classes_per_point=3, min_score=0.1, candidates_per_level=99, min_length=0.0,
    )  # fmt: skip
    counted = found.scores > 0
    assert counted.sum() == VERBS * NOUNS
    assert (found.segments[counted].mean(1) == 0).all()


def test_the_classes_of_a_video_count_in_each_vocabulary() -> None:
    """What a video lacks is not known in a vocabulary in which one of its segments has no label."""
    recipe = Recipe.model_validate(
        {"loss": {"video_label_weight": 1.0}, "sensitivity": {"class_level": False, "instance_level": False}}
    )
    objective = Objective(recipe, [VERBS, NOUNS]).eval()
    known = objective(output_of(), truth_of((1.0, 5.0, VERB, NOUN)))["video_label"].item() * NORMALIZER
    # Verbs are even, 1/2 each; the nouns are 1 : 1 : 3, and those that are wrong have 1/3 in the padding.
    nouns = -math.log(3 / 5)
    assert known == pytest.approx(2 * math.log(2) + nouns + 2 * -math.log(2 / 3), rel=1e-4)
    partly = objective(output_of(), truth_of((1.0, 5.0, VERB, NOUN), (5.0, 6.0, VERB, UNLABELLED)))
    assert partly["video_label"].item() * NORMALIZER == pytest.approx(2 * math.log(2) + nouns, rel=1e-4)
