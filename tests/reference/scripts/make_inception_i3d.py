"""Run the PyTorch port of I3D and keep what its parameters are called and what it gives on random weights.

    python make_inception_i3d.py GIT_DIRECTORY_OF_pytorch-i3d

GIT_DIRECTORY holds https://github.com/piergiaj/pytorch-i3d at 05783d11f9632b25fe3d50395a9c9bb51f848d6d. Written beside
the tests: ``inception_i3d_parameters.txt``, a line `network name shape` for each tensor of the networks that
``rgb_imagenet.pt`` and ``flow_imagenet.pt`` belong to, and ``inception_i3d.npz``, the features of `CASES`.
Inputs and weights follow `random_clips` and `random_state`, which the test repeats.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

COMMIT = "05783d11f9632b25fe3d50395a9c9bb51f848d6d"
HERE = Path(__file__).parents[1]
CHANNELS = {"rgb": 3, "flow": 2}
CASES = {
    # network, (frames, height, width), average pool of the port: its own, or of fewer places for smaller input
    "rgb-small": ("rgb", (16, 64, 64), (2, 2, 2)),
    "rgb-odd": ("rgb", (11, 75, 97), (2, 3, 4)),
    "flow-short": ("flow", (3, 47, 32), (1, 2, 1)),
    "flow-odd": ("flow", (21, 65, 65), (2, 3, 3)),
    "rgb-16x224": ("rgb", (16, 224, 224), (2, 7, 7)),
    "rgb-33x225x256": ("rgb", (33, 225, 256), (2, 7, 7)),
    "flow-64x224": ("flow", (64, 224, 224), (2, 7, 7)),
}


def random_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Return weights by a fixed rule: values in order of name, scaled so that features stay near 1."""
    random = np.random.RandomState(0)  # its values are frozen for good
    state = {}
    for name in sorted(shapes):
        values = random.standard_normal(shapes[name]).astype(np.float32)
        if name.endswith("conv3d.weight"):
            values *= (2 / np.prod(shapes[name][1:])) ** 0.5
        elif name.endswith("running_var"):
            values = 0.5 + np.abs(values)
        elif name.endswith("bn.weight"):
            values = 1 + 0.1 * values
        else:
            values *= 0.1
        state[name] = torch.from_numpy(np.asarray(values, dtype=np.float32))
    return state


def random_clips(shape: tuple[int, ...]) -> torch.Tensor:
    """Return one clip of values between -1 and 1: (1, C, T, H, W)."""
    return torch.from_numpy(np.random.RandomState(1).uniform(-1, 1, (1, *shape)).astype(np.float32))


def main(git_directory: str) -> None:
    """Write both files."""
    source = subprocess.run(
        ["git", f"--git-dir={git_directory}", "show", f"{COMMIT}:pytorch_i3d.py"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    port: dict[str, Any] = {"__name__": "pytorch_i3d"}
    exec(compile(source, "pytorch_i3d.py", "exec"), port)
    networks = {kind: port["InceptionI3d"](400, in_channels=channels).eval() for kind, channels in CHANNELS.items()}
    lines = []
    for kind, network in networks.items():
        tensors = network.state_dict()
        lines += [f"{kind} {name} {','.join(map(str, tensor.shape))}" for name, tensor in tensors.items()]
        network.load_state_dict(
            random_state({name: tuple(t.shape) for name, t in tensors.items() if "num_batches" not in name}),
            strict=False,
        )
    (HERE / "inception_i3d_parameters.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    features = {}
    for case, (kind, size, pool) in CASES.items():
        networks[kind].avg_pool = torch.nn.AvgPool3d(pool, stride=1)
        with torch.inference_mode():
            places = networks[kind].extract_features(random_clips((CHANNELS[kind], *size)))
        features[case] = places.mean((0, 2, 3, 4)).numpy()
        print(case, tuple(places.shape), features[case].mean(), features[case].std())
    np.savez_compressed(HERE / "inception_i3d.npz", **features)


if __name__ == "__main__":
    main(*sys.argv[1:])
