"""The learning rate; the moving average of the weights, compared with PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from helpers.networks import make_network
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from asl_kit.model.sensitivity import ClassSensitivity
from asl_kit.recipes.schema import OptimizerRecipe
from asl_train.optimization import RATE_SHARE, MovingAverage, learning_rate, make_optimizer


def test_the_moving_average_is_torchs_with_a_warm_up() -> None:
    torch.manual_seed(0)
    network = make_network(feature_dims=(3,), classes=2, levels=2)

    def update(average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        return average.lerp(current, 1 - min(0.5, (1 + int(count)) / (10 + int(count))))

    expected, average = AveragedModel(network, avg_fn=update), MovingAverage(network, 0.5)
    for number in range(12):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += torch.randn_like(parameter)
        expected.update_parameters(network)
        average.update(network)
        if number == 5:  # as after an interruption
            state = average.state_dict()
            average = MovingAverage(network, 0.5)
            average.load_state_dict(state)
    for found, wanted in zip(average.network.parameters(), expected.module.parameters(), strict=True):
        torch.testing.assert_close(found, wanted)
        assert not found.requires_grad


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.25), (3, 1.0), (4, 1.0), (12, 0.55), (20, 0.1)],
    ids=["first", "warm", "peak", "mid", "end"],
)
def test_learning_rate(step: int, expected: float) -> None:
    recipe = OptimizerRecipe(learning_rate=1.0, epochs=5, warmup_epochs=1, final_learning_rate_share=0.1)
    assert learning_rate(step, steps_per_epoch=4, recipe=recipe) == pytest.approx(expected)


@pytest.mark.parametrize("as_released", [False, True])
def test_the_gaussians_decay_as_the_authors_released_them_only(as_released: bool) -> None:
    curves = ClassSensitivity(2, as_released=as_released)
    network = make_network(feature_dims=(3,), classes=2, levels=2)
    decaying, rest = make_optimizer(network, curves, OptimizerRecipe()).param_groups
    assert (decaying["weight_decay"], rest["weight_decay"]) == (0.05, 0.0)
    for parameter in curves.parameters():
        assert any(parameter is other for other in decaying["params"]) == as_released
        assert any(parameter is other for other in rest["params"]) != as_released


@pytest.mark.parametrize("encoder_share", [1.0, 0.1])
def test_curves_can_have_a_learning_rate_of_their_own(encoder_share: float) -> None:
    curves = ClassSensitivity(2)
    network = make_network(feature_dims=(3,), classes=2, levels=2)
    recipe = OptimizerRecipe(curve_learning_rate_factor=20.0, encoder_learning_rate_share=encoder_share)
    groups = make_optimizer(network, curves, recipe).param_groups
    shares = {id(parameter): group[RATE_SHARE] for group in groups for parameter in group["params"]}
    encoder = {id(parameter) for parameter in network.encoder_parameters()}
    assert len(shares) == sum(1 for module in (network, curves) for _ in module.parameters())
    assert {shares[id(parameter)] for parameter in curves.parameters()} == {20.0}
    for parameter in network.parameters():
        assert shares[id(parameter)] == (encoder_share if id(parameter) in encoder else 1.0)
