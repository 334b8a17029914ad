"""What `torch.compile` and CUDA graphs would bring to the training step, beside the same step as training runs it.

The seed, which a graph cannot set, and the reading of the losses are left out of all. Without a GPU, the step is only
traced, as one graph, and nothing is compiled.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import train_step
from section import Measure, Options, seconds_of, synchronize
from torch import nn

from asl_kit.model.network import Localizer
from asl_kit.recipes.files import load_recipe
from asl_kit.torch_utils.device import autocast, choose_precision
from asl_train.sequences import collate
from asl_train.trainable_model import TrainableModel

Step = Callable[[], object]


def make_step(device: torch.device, settings: list[str], **compiling: Any) -> Step:
    """Return a step of the default recipe without seed and reading; `compiling`: how to compile it, if at all."""
    recipe = load_recipe(None, settings)
    network = Localizer(recipe, train_step.SHAPE, train_step.CLASSES).to(device).train()
    model = TrainableModel(network, recipe, [train_step.CLASSES], choose_precision("auto", device))
    objective = model.objective.train()
    videos = train_step.make_sequences([train_step.LONGEST] * train_step.BATCH)
    batch = collate(videos, [""] * len(videos), network.padded_length).to(device)
    for group in model.optimizer.param_groups:
        group["capturable"] = device.type == "cuda"

    def loss() -> torch.Tensor:
        with autocast(device, model.precision):
            output = network(batch.features, batch.mask)
        total: torch.Tensor = objective(output, batch.truth)["total"]
        return total

    forward = torch.compile(loss, fullgraph=True, **compiling) if compiling else loss

    def step() -> None:
        model.optimizer.zero_grad(set_to_none=True)
        forward().backward()
        nn.utils.clip_grad_norm_(model.parameters, recipe.optimizer.gradient_clip)
        model.optimizer.step()
        if model.average is not None:
            model.average.update(network)

    return step


def capture(step: Step) -> Step:
    """Return the replay of a step as one CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def measure(options: Options) -> Iterator[Measure]:
    """Yield the milliseconds of each kind of step, their share of the step as it is, and the seconds to make it."""
    device, on_gpu = options.device, options.device.type == "cuda"
    if options.small:
        train_step.use_small_shape()
    settings = ["model.width=32"] if options.small else []
    makers: dict[str, Callable[[], Step]] = {"as it is": lambda: make_step(device, settings)}
    if on_gpu:
        makers["captured as a CUDA graph"] = lambda: capture(make_step(device, settings))
        makers["compiled"] = lambda: make_step(device, settings, mode="default")
        makers["compiled and captured"] = lambda: capture(make_step(device, settings, mode="default"))
    else:
        makers["traced as one graph"] = lambda: make_step(device, settings, backend="eager")
    plain_s = None
    for name, make in makers.items():
        started_s = time.perf_counter()
        step = make()
        step()
        synchronize(device)
        ready_s = time.perf_counter() - started_s
        taken_s = seconds_of(step, device, repeats=2 if options.small else 100, warmup=1 if options.small else 5)
        plain_s = plain_s or taken_s
        yield Measure(f"step, {name}", 1e3 * taken_s, "ms")
        yield Measure(f"step, {name}, of the step as it is", taken_s / plain_s)
        yield Measure(f"step, {name}: making it, and its first run", ready_s, "s")
