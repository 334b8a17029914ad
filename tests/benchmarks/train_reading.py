"""What reading features from the store costs training: ``python tests/benchmarks/train_reading.py``.

A store of videos of THUMOS14's shape (2,048 dims in float16, log-normal lengths, median 1,200, cut at 2,304), read
as training reads it, in batches of 2, a thread ahead of the step. Each round trains an epoch from the store, and the
same batches again from memory. Printed: the time that a batch takes to read without a step; seconds of both, and the
share of the first in which the step waited. The first epoch, which reads all features into memory, is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.support import add_video
from train_step import BATCH, CLASSES, DIMS, LONGEST, SEGMENTS, SHAPE, real_lengths

from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.held_features import HeldFeatures
from asl_kit.dataset.split import VideoItem
from asl_kit.model.network import Localizer
from asl_kit.recipes.files import load_recipe
from asl_kit.store import FeatureStore
from asl_kit.store.spec import ExtractionSpec
from asl_kit.torch_utils.device import choose_precision, use_device
from asl_train.sequences import TrainingSequences
from asl_train.trainable_model import TrainableModel


def make_items(store: Path, count: int) -> list[VideoItem]:
    """Fill a store with random videos and return them as training sees them."""
    spec = ExtractionSpec(
        backbone="random", weights="random", feature_dim=DIMS, window_frames=16, stride_frames=4, clip_frames=16
    )
    random = np.random.default_rng(0)
    items = []
    opened = FeatureStore.open_or_create(store, spec, dtype="float16")
    for number, length in enumerate(real_lengths(count)):
        features = random.standard_normal((length, DIMS), dtype=np.float32)
        add_video(opened, str(number), features)
        info = opened.info(str(number))
        start_s = np.sort(random.uniform(0, info.duration_s - 3, SEGMENTS))
        labels = random.integers(CLASSES, size=(SEGMENTS, 1))
        segments_s = np.stack((start_s, start_s + 2.5), axis=1)
        items.append(VideoItem(str(number), info.duration_s, info.grid, segments_s, labels))
    return items


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--hold", action=argparse.BooleanOptionalAction, default=True, help="hold features in memory")
    options = parser.parse_args()
    device = use_device(options.device)
    recipe = load_recipe(settings=[f"optimizer.batch_size={BATCH}"])
    with tempfile.TemporaryDirectory() as folder:
        items = make_items(Path(folder) / "features.zarr", options.videos)
        reader = FeatureReader([Path(folder) / "features.zarr"])
        limit_bytes = None if options.hold else 0
        features = HeldFeatures(reader, device, limit_bytes=limit_bytes)
        sequences = TrainingSequences(items, features, recipe, longest=LONGEST)
        network = Localizer(recipe, SHAPE, CLASSES).to(device).train()
        for number in range(2):
            started_s = time.perf_counter()
            for batch in sequences.epoch(number, network.padded_length):
                batch.to(device)
            if device.type == "cuda":
                torch.cuda.synchronize()
            alone_s = (time.perf_counter() - started_s) / len(sequences)
            print(f"epoch {number + 1}: {1000 * alone_s:.1f} ms to read a batch, {1 / alone_s:.1f} batches a second")
        model = TrainableModel(network, recipe, [CLASSES], choose_precision(options.precision, device))
        waits, reading, memory = [], [], []
        for number in range(options.rounds + 1):
            batches, waited_s = [], 0.0
            started_s = time.perf_counter()
            epoch = sequences.epoch(number, network.padded_length)
            for _ in range(len(sequences)):
                asked_s = time.perf_counter()
                batches.append(next(epoch))
                waited_s += time.perf_counter() - asked_s
                model.train_step(batches[-1], number, 1e-4).read()
            read_s = time.perf_counter() - started_s
            started_s = time.perf_counter()
            for batch in batches:
                model.train_step(batch, number, 1e-4).read()
            if number:  # the first round warms up
                waits.append(waited_s / read_s)
                reading.append(read_s)
                memory.append(time.perf_counter() - started_s)
    print(f"{len(sequences)} steps on {device}, {model.precision}, {torch.get_num_threads()} threads")
    print(f"from the store  {statistics.median(reading):7.2f} s, of which waiting {statistics.median(waits):.1%}")
    print(f"from memory     {statistics.median(memory):7.2f} s")
    ratio = statistics.median(one / other for one, other in zip(reading, memory, strict=True))
    print(f"ratio           {ratio:7.3f}")


if __name__ == "__main__":
    main()
