"""An epoch of 200 videos from a store: what it takes, and how long the step waits for features."""

from __future__ import annotations

import time
from collections.abc import Iterator

import train_reading
import train_step
from section import Measure, Options, synchronize

from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.held_features import HeldFeatures
from asl_kit.model.network import Localizer
from asl_kit.recipes.files import load_recipe
from asl_kit.torch_utils.device import choose_precision
from asl_train.sequences import TrainingSequences
from asl_train.trainable_model import TrainableModel


def measure(options: Options) -> Iterator[Measure]:
    """Yield the figures of the first epoch, which reads the store, and of a later one: features held, and not."""
    videos = 2 if options.small else 200
    store = options.scratch / "features.zarr"
    items = train_reading.make_items(store, videos)
    settings = [f"optimizer.batch_size={train_step.BATCH}", *(["model.width=32"] if options.small else [])]
    recipe = load_recipe(settings=settings)
    network = Localizer(recipe, train_step.SHAPE, train_step.CLASSES).to(options.device).train()
    precision = choose_precision("auto", options.device)
    model = TrainableModel(network, recipe, [train_step.CLASSES], precision)
    for held, limit_bytes in (("held", None), ("not held", 0)):
        features = HeldFeatures(FeatureReader([store]), options.device, limit_bytes=limit_bytes)
        sequences = TrainingSequences(items, features, recipe, longest=train_step.LONGEST)
        for number, name in enumerate(("first epoch", "later epoch")):
            waited_s, unread = 0.0, None
            started_s = time.perf_counter()
            epoch = sequences.epoch(number, network.padded_length)
            for _ in range(len(sequences)):
                asked_s = time.perf_counter()
                batch = next(epoch)
                waited_s += time.perf_counter() - asked_s
                values = model.train_step(batch, number, 1e-4)
                if unread is not None:  # as training does: a step's losses are read after the next has been started
                    unread.read()
                unread = values
            synchronize(options.device)
            taken_s = time.perf_counter() - started_s
            what = f"{name} of {videos} videos, features {held}"
            yield Measure(what, taken_s, "s")
            yield Measure(f"{what}: share waiting for them", waited_s / taken_s)
