"""Run the authors' EgoVLP and Omnivore: keep the names of their parameters, and features on random weights.

    python make_egocentric.py GIT_DIRECTORY_OF_EgoVLP GIT_DIRECTORY_OF_omnivore

The directories hold https://github.com/showlab/EgoVLP at 928406c and
https://github.com/facebookresearch/omnivore at 1d55abd; einops is needed. Written beside the tests:
``egocentric_parameters.txt``, a line `network name shape` for each tensor of the networks at full size
(``blocks.0-17.`` stands for 18 equal blocks) and of those of `CASES`; and ``egocentric.npz``, the features of `CASES`
and Omnivore's table of relative positions. Inputs and weights follow make_video_transformers.py.
"""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from make_video_transformers import HERE, on_meta, random_clips, random_state, shapes_of, stub

COMMITS = {
    "EgoVLP": "928406c2d5d42b4d76421f6500e43feb61fc9d68",
    "omnivore": "1d55abdc8dfc7bd5cbf69316841ab804d0acf1ca",
}

# Frames, size in pixels, sizes of the network
CASES: dict[str, tuple[int, int, dict[str, Any]]] = {
    "egovlp-small": (4, 48, {"width": 24, "depth": 3, "heads": 3}),
    "omnivore-small": (8, 56, {"width": 8, "depths": [2, 2, 4], "heads": [2, 2, 4], "window": [2, 3, 3]}),
    "omnivore-long": (12, 28, {"width": 8, "depths": [2, 2], "heads": [2, 4], "window": [8, 7, 7]}),
}
OMNIVORE = {
    "omnivore_swinT": (96, [2, 2, 6, 2], [3, 6, 12, 24], [8, 7, 7]),
    "omnivore_swinS": (96, [2, 2, 18, 2], [3, 6, 12, 24], [8, 7, 7]),
    "omnivore_swinB": (128, [2, 2, 18, 2], [4, 8, 16, 32], [16, 7, 7]),
    "omnivore_swinL_imagenet21k": (192, [2, 2, 18, 2], [6, 12, 24, 48], [8, 7, 7]),
}
INDEX = "relative_position_index"


def random_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a network's state dict with random numbers by the rule of make_video_transformers.py."""
    state = network.state_dict()
    shapes = {name: shape for name, shape in shapes_of(network).items() if not name.endswith(INDEX)}
    return state | random_state(shapes)


def lines_of(network: str, shapes: dict[str, tuple[int, ...]]) -> Iterator[str]:
    """Yield the lines of a network's tensors; those of equal blocks are written once."""
    blocks: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    for name, shape in shapes.items():
        found = re.fullmatch(r"(.*\bblocks)\.(\d+)\.(.*)", name)
        key = (f"{found[1]}.", f".{found[3]}", shape) if found else (name, "", shape)
        blocks.setdefault(key, []).append(int(found[2]) if found else -1)
    for (start, end, shape), numbers in blocks.items():
        assert numbers in ([-1], list(range(len(numbers))))
        name = f"{start}0-{len(numbers) - 1}{end}" if end else start
        yield f"{network} {name} {','.join(map(str, shape))}"


def module_of(git_directory: str, commit: str, path: str) -> types.ModuleType:
    """Return a file at a commit as a module."""
    shown = ["git", f"--git-dir={git_directory}", "show", f"{commit}:{path}"]
    source = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
    module = types.ModuleType(Path(path).stem)
    exec(compile(source, path, "exec"), vars(module))
    return module


@torch.inference_mode()
def main(egovlp_git: str, omnivore_git: str) -> None:
    """Write both files."""
    layers = {"DropPath": lambda _: torch.nn.Identity(), "trunc_normal_": lambda *_, **__: None}
    stub("timm")
    stub("timm.models")
    stub("timm.models.layers", to_2tuple=lambda x: x if isinstance(x, tuple) else (x, x), **layers)
    stub("omnivision")
    stub("omnivision.utils")
    stub("omnivision.utils.checkpoint", load_and_broadcast_checkpoint_list=None)
    transformer = module_of(egovlp_git, COMMITS["EgoVLP"], "model/video_transformer.py")
    swin = module_of(omnivore_git, COMMITS["omnivore"], "omnivision/models/swin_transformer.py")

    def egovlp(*, width: int = 768, depth: int = 12, heads: int = 12, size: int = 224) -> torch.nn.Module:
        encoder = transformer.SpaceTimeTransformer(
            img_size=size, embed_dim=width, depth=depth, num_heads=heads, num_frames=4, time_init="zeros"
        )
        encoder.head = torch.nn.Identity()  # as in model/model.py
        projection = torch.nn.Sequential(torch.nn.Linear(width, 256 if width == 768 else 10))
        return torch.nn.ModuleDict({"video_model": encoder, "vid_proj": projection})

    def omnivore(width: int, depths: list[int], heads: list[int], window: list[int]) -> torch.nn.Module:
        return swin.SwinTransformer3D(
            pretrained2d=False, patch_size=(2, 4, 4), embed_dim=width, depths=depths, num_heads=heads,
            window_size=tuple(window), patch_norm=True, depth_mode="summed_rgb_d_tokens",
        )  # fmt: skip

    lines = [*lines_of("egovlp", shapes_of(on_meta(egovlp)))]
    for name, sizes in OMNIVORE.items():
        lines += lines_of(name, shapes_of(on_meta(functools.partial(omnivore, *sizes))))
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for case, (frames, size, sizes) in CASES.items():
        clips = random_clips(frames, size)
        if case.startswith("egovlp"):
            network = egovlp(**sizes, size=size)
            network.load_state_dict(random_weights(network))
            network.eval()
            features = network["vid_proj"](network["video_model"](clips.transpose(1, 2).contiguous()))
        else:
            network = omnivore(**sizes)
            network.load_state_dict(random_weights(network))
            network.eval()
            features = network(clips)
            arrays[f"{case}-index"] = network.layers[0].blocks[0].attn.relative_position_index.numpy().astype(np.int16)
        lines += lines_of(case, shapes_of(network))
        arrays[case] = features.numpy()
        print(case, arrays[case].shape, arrays[case].std(), arrays[case].std(0).mean())
    (HERE / "egocentric_parameters.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    np.savez_compressed(HERE / "egocentric.npz", **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
