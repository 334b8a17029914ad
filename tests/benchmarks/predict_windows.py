"""Detection in windows against detection in one piece: ``python tests/benchmarks/predict_windows.py``.

A network of full size (512 channels, 6 levels, attention windows of 19), its small initial scales drawn anew so that
every part matters, reads random features of 1 to ``--times`` training sequences: in one piece, and in the windows
that `asl-kit predict` takes. Printed for each length: detections above score 0.05 of either, those of one without a
partner of its class in the other within one step, the largest differences of partners, memory and time.

``--attention-window 0`` attends to all features: windows cannot say the same then; this prints how far off they are.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from asl_kit.grid import FeatureGrid
from asl_kit.inference.averaging import Member
from asl_kit.inference.detector import Detector
from asl_kit.model.decoding import Candidates
from asl_kit.model.network import Localizer, Shape
from asl_kit.recipes.schema import InferenceRecipe, Recipe

MIN_SCORE = 0.05


def make_network(options: argparse.Namespace) -> Localizer:
    """Return a network of random weights whose scores spread over (0, 1)."""
    torch.manual_seed(0)
    model = {"width": options.width, "attention_window": options.attention_window}
    recipe = Recipe.model_validate({"model": model | {"position_embedding": options.position_embedding}})
    shape = Shape(feature_dims=(options.dimension,), sequence_length=options.sequence_length, levels=options.levels)
    network = Localizer(recipe, shape, options.classes).eval()
    for name, parameter in network.named_parameters():
        if "path.scale" in name:
            torch.nn.init.constant_(parameter, 0.5)
        elif "head.last.conv.weight" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def partners(ours: Candidates, theirs: Candidates) -> tuple[int, float, float]:
    """Return how many of ours have no partner in theirs, and the largest difference of ends (steps) and scores."""
    missing, ends, scores = 0, 0.0, 0.0
    for segment, score, label in zip(*(tensor.numpy() for tensor in ours), strict=True):
        same = (theirs.labels == int(label)).numpy()
        apart = np.abs(theirs.segments.numpy()[same] - segment).max(axis=1, initial=0.0)
        difference = np.abs(theirs.scores.numpy()[same] - score)
        near = np.flatnonzero(apart <= 1.0)
        if not len(near):
            missing += 1
            continue
        best = near[np.argmin(difference[near])]
        ends, scores = max(ends, float(apart[best])), max(scores, float(difference[best]))
    return missing, ends, scores


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequence-length", type=int, default=2304, help="of training, in features")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--window-length", type=int, help="default: what predict takes, 4 training sequences")
    parser.add_argument("--attention-window", type=int, default=19)
    parser.add_argument("--position-embedding", action="store_true")
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--levels", type=int, default=6)
    options = parser.parse_args()
    network = make_network(options)
    names = {"action": [str(label) for label in range(options.classes)]}
    window_length = options.window_length or Detector([Member(network)], names, InferenceRecipe()).window_length
    print(f"{options}; windows of {window_length} features, outputs reach {network.reach} to either side")
    for times in options.times:
        length = times * options.sequence_length
        features = torch.randn(length, options.dimension, generator=torch.Generator().manual_seed(times))
        found: list[Candidates] = []
        seconds = []
        for one_window in (window_length, length):  # the smaller memory first: the peak never falls
            started_s = time.perf_counter()
            detector = Detector([Member(network)], names, InferenceRecipe(window_length=one_window))
            grid = FeatureGrid(0.0, 1.0, length)  # so that ends are in steps
            (candidates,) = detector.detect(features.numpy(), grid, float(length))
            seconds.append(time.perf_counter() - started_s)
            sure = candidates.scores > MIN_SCORE
            found.append(Candidates(*(tensor[sure] for tensor in candidates)))
            if one_window == window_length:
                peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        windowed, whole = found
        lost, lost_ends, lost_scores = partners(whole, windowed)
        new, new_ends, new_scores = partners(windowed, whole)
        print(
            f"{times:3} x {options.sequence_length}: {len(whole.scores)} in one piece,"
            f" {len(windowed.scores)} in windows; without a partner {lost} and {new};"
            f" ends differ by {max(lost_ends, new_ends):.1e} steps, scores by {max(lost_scores, new_scores):.1e};"
            f" {seconds[1]:.1f} s and {seconds[0]:.1f} s, peak up to the windows {peak_mb:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
