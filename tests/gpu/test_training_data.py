"""Batches that are made on the GPU are those of the CPU, whether the GPU holds the features or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.support import make_task

from asl_kit.dataset.held_features import HeldFeatures
from asl_kit.recipes.files import load_recipe
from asl_kit.torch_utils.device import use_device
from asl_train.sequences import TrainingSequences
from asl_train.training_data import load_training_data

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("limit_bytes", [0, 400, 10**9], ids=["read each time", "some held", "all held"])
@pytest.mark.parametrize("index", [0, 1])
def test_batches(index: int, limit_bytes: int, tmp_path: Path) -> None:
    if index >= torch.cuda.device_count():
        pytest.skip("needs two GPUs")
    gpu = use_device(f"cuda:{index}")
    annotations, features = make_task(tmp_path)
    recipe = load_recipe(settings=["optimizer.batch_size=2"])
    data = load_training_data(annotations, [features], recipe)
    sequences = [
        TrainingSequences(data.train.items, HeldFeatures(data.reader, device, limit_bytes=limit), recipe, longest=32)
        for device, limit in ((torch.device("cpu"), 10**9), (gpu, limit_bytes))
    ]
    for epoch in range(3):
        for expected, batch in zip(*(one.epoch(epoch, lambda length: length) for one in sequences), strict=True):
            torch.cuda._sleep(10**7)  # the GPU is behind, as in training
            found = batch.to(gpu)
            for tensor, wanted in zip(
                (found.features, found.mask, *found.truth),
                (expected.features, expected.mask, *expected.truth),
                strict=True,
            ):
                assert tensor.device == gpu
                assert torch.equal(tensor.clone().cpu(), wanted)
