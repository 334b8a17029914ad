"""The state of a training step in every precision, and the losses that a GPU hands over; a stand-in is the GPU."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.networks import PARTS, make_network

from asl_kit.recipes.files import load_recipe
from asl_train.sequences import TrainingSequence, collate
from asl_train.trainable_model import StepValues, TrainableModel

PRECISIONS = [torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("now", PRECISIONS, ids=str)
@pytest.mark.parametrize("then", PRECISIONS, ids=str)
def test_a_run_goes_on_in_any_precision(then: torch.dtype, now: torch.dtype) -> None:
    """Precision `auto` differs between devices, and a run may be resumed on another one."""
    recipe = load_recipe()
    models = []
    for precision in (then, now):
        torch.manual_seed(0)
        models.append(TrainableModel(make_network(), recipe, [3], precision))
    sequence = TrainingSequence(torch.randn(24, 5), torch.tensor([[3.0, 9.0]]), torch.tensor([[1]]))
    batch = collate([sequence], ["video"], models[0].network.padded_length)
    models[0].train_step(batch, 0, 1e-3)
    models[1].load_state(models[0].state(), models[0].objective.state_dict())
    for name, value in models[1].network.state_dict().items():
        assert torch.equal(value, models[0].network.state_dict()[name])
    assert models[1].scaler.is_enabled() == (now == torch.float16)
    if then == now:
        assert models[1].scaler.state_dict() == models[0].scaler.state_dict()
    assert models[1].train_step(batch, 1, 1e-3).read()["total"] > 0


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize(
    "settings",
    [
        ["sensitivity.mode=paper", "contrastive.enabled=true"],
        ["sensitivity.mode=released", "contrastive.enabled=true", "contrastive.form=released"],
        ["sensitivity.mode=quality", "loss.video_label_weight=0.2"],
    ],
    ids=["paper", "released", "quality"],
)
def test_every_encoder_and_head_trains_and_goes_on(settings: list[str], parts: dict[str, Any]) -> None:
    """With every part of ASL: all weights have a gradient, and a step after a restart is the step without one."""
    recipe = load_recipe(None, [*settings, "loss.tiou_weight_power=0.2"])
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(
            TrainableModel(make_network(**parts, input_noise=0.1, drop_path=0.0), recipe, [1, 2], torch.float32)
        )
    sequence = TrainingSequence(
        torch.randn(24, 5), torch.tensor([[3.0, 9.0], [3.0, 9.0]]), torch.tensor([[0, 1], [0, 2]])
    )
    batch = collate([sequence], ["video"], models[0].network.padded_length)
    models[0].train_step(batch, 0, 1e-3)
    assert not {
        name for name, value in models[0].network.named_parameters() if value.grad is None or not value.grad.any()
    }
    state = copy.deepcopy((models[0].state(), models[0].objective.state_dict()))  # as from a file
    models[1].load_state(*state)
    values = [model.train_step(batch, 1, 1e-3).read() for model in models]
    assert values[0] == values[1]
    assert all(map(math.isfinite, values[0].values()))
    for one, other in zip(*(model.network.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)


def test_losses_are_read_when_the_gpu_that_computed_them_has_copied_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when another one has: the event is on that GPU's stream, whichever device is the current one."""
    calls: list[str] = []

    def current_stream(device: Any = None) -> Any:
        calls.append(f"record on {device}")
        return SimpleNamespace(record_event=lambda: SimpleNamespace(synchronize=lambda: calls.append("synchronize")))

    host = torch.tensor([1.0, 2.0])
    values: Any = SimpleNamespace(is_cuda=True, device="cuda:1", shape=(2,))
    pinned = SimpleNamespace(copy_=lambda source, non_blocking: calls.append("copy") or host)
    monkeypatch.setattr(torch.cuda, "current_stream", current_stream)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "empty", lambda shape, pin_memory: pinned)
        unread = StepValues(["total", "gradient_norm"], values)
    assert calls == ["copy", "record on cuda:1"]
    assert unread.read() == {"total": 1.0, "gradient_norm": 2.0}
    assert calls[-1] == "synchronize"
