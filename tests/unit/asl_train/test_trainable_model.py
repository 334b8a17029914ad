"""The state of a training step in every precision, and the losses that a GPU hands over; a stand-in is the GPU."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.networks import make_network

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
