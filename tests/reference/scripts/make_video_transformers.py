"""Run the authors' VideoMAE V2 and InternVideo2: keep the names of their parameters, and features on random weights.

    python make_video_transformers.py GIT_DIRECTORY_OF_VideoMAEv2 GIT_DIRECTORY_OF_InternVideo

The directories hold https://github.com/OpenGVLab/VideoMAEv2 at 29eab1e and
https://github.com/OpenGVLab/InternVideo at 3965eef. Written beside the tests: ``video_transformers_parameters.txt``, a
line `network name shape` for each tensor of the networks at full size (``blocks.0-11.`` stands for 12 equal blocks),
and ``video_transformers.npz``, the features of `CASES` and positions of one frame rate for another.
Inputs and weights follow `random_state` and `random_clips`, which the tests repeat.

InternVideo2 is run without flash-attn, as its authors provide for; the GELU of flash-attn's MLP (``activation``
of `FusedMLP`: "gelu_approx") is set, because the weights are trained with it. timm's helpers are replaced: of them,
evaluation uses only `to_2tuple`.
"""

from __future__ import annotations

import functools
import importlib
import re
import subprocess
import sys
import tempfile
import types
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parents[1]
COMMITS = {
    "VideoMAEv2": "29eab1e8a588d1b3ec0cdec7b03a86cca491b74b",
    "InternVideo": "3965eef16e2dadd0ea6c8d0cc29c8a3039df52e3",
}
SINGLE = "InternVideo2/single_modality/models"
MULTI = "InternVideo2/multi_modality/models/backbones/internvideo2"

# Network, frames, size in pixels, sizes of the network
CASES: dict[str, tuple[str, int, int, dict[str, int]]] = {
    "videomae-small": ("videomae", 16, 32, {"width": 24, "depth": 3, "heads": 3, "hidden": 96, "patch": 16}),
    "videomae-patch14": ("videomae", 16, 42, {"width": 44, "depth": 2, "heads": 4, "hidden": 192, "patch": 14}),
    "videomae-s": ("videomae", 16, 224, {"width": 384, "depth": 12, "heads": 6, "hidden": 1536, "patch": 16}),
    "internvideo2-small": ("internvideo2", 4, 28, {"width": 32, "depth": 3, "heads": 2, "hidden": 128}),
    "internvideo2-8x42": ("internvideo2", 8, 42, {"width": 48, "depth": 2, "heads": 3, "hidden": 192}),
}
FULL_SIZE = {
    "videomae": [f"vit_{size}" for size in ("small_patch16", "base_patch16", "large_patch16", "huge_patch16")]
    + ["vit_giant_patch14"],
    "internvideo2": [f"internvideo2_{size}_patch14" for size in ("small", "base", "large", "1B", "6B")],
    "internvideo2_pretrain": [f"pretrain_internvideo2_{size}_patch14" for size in ("1B", "6B")],
    "internvideo2_distill": [f"distill_internvideo2_{size}_patch14" for size in ("small", "base", "large")],
}
INTERPOLATED = {4: 8, 16: 8, 8: 16}  # frames of the weights, and of the network
UNFUSED = dict.fromkeys(("use_flash_attn", "use_fused_rmsnorm", "use_fused_mlp"), False)


def random_tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a tensor by a fixed rule that depends on its name and shape only, so that features stay near 1."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "norm3.weight", "gamma")):
        values = 1 + 0.1 * values
    elif name.endswith("weight"):
        values /= np.prod(shape[1:]) ** 0.5
    else:
        values *= 0.1
    return torch.from_numpy(values)


def random_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Return a state dict of `random_tensor`."""
    return {name: random_tensor(name, shape) for name, shape in shapes.items()}


def random_clips(frames: int, size: int) -> torch.Tensor:
    """Return two clips: (2, 3, T, S, S)."""
    values = np.random.RandomState(1).uniform(-1, 1, (2, 3, frames, size, size))
    return torch.from_numpy(values.astype(np.float32))


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every tensor in a network's state dict."""
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def stub(name: str, **contents: Any) -> None:
    """Make an importable module."""
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(contents)


def stub_dependencies() -> None:
    """Stand in for what the authors' files import and evaluation does not need."""

    def nothing(*_: Any, **__: Any) -> None:
        pass

    layers = {"drop_path": nothing, "DropPath": torch.nn.Identity, "trunc_normal_": nothing}
    stub("timm")
    stub("timm.models")
    stub("timm.models.layers", to_2tuple=lambda x: x if isinstance(x, tuple) else (x, x), **layers)
    stub("timm.models.registry", register_model=lambda function: function)
    stub("einops", rearrange=nothing)
    for name in ("flash_attn", "flash_attn.modules", "flash_attn.ops"):
        stub(name)
    stub("flash_attn.modules.mlp", FusedMLP=nothing)
    stub("flash_attn.ops.rms_norm", DropoutAddRMSNorm=nothing)


def import_files(git_directory: str, commit: str, folder: str, names: list[str]) -> dict[str, types.ModuleType]:
    """Return modules of a folder at a commit, imported as a package."""
    package = "authors_" + re.sub(r"\W", "_", folder)
    unpacked = Path(tempfile.mkdtemp())
    (unpacked / package).mkdir()
    for name in ["__init__", "flash_attention_class", *names]:
        source = ""
        if name in names:
            shown = ["git", f"--git-dir={git_directory}", "show", f"{commit}:{folder}/{name}.py"]
            source = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
        elif name == "flash_attention_class":
            source = "FlashAttention = None\n"
        (unpacked / package / f"{name}.py").write_text(source, encoding="utf-8")
    sys.path.insert(0, str(unpacked))
    return {name: importlib.import_module(f"{package}.{name}") for name in names}


def lines_of(network: str, shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Return the lines of a network's tensors; those of equal blocks are written once."""
    blocks = 1 + max(int(name.split(".")[1]) for name in shapes if name.startswith("blocks."))
    first = {name: shape for name, shape in shapes.items() if name.startswith("blocks.0.")}
    every = {
        name.replace("blocks.0.", f"blocks.{index}."): shape for index in range(blocks) for name, shape in first.items()
    }
    assert every == {name: shape for name, shape in shapes.items() if name.startswith("blocks.")}
    others = {name: shape for name, shape in shapes.items() if not name.startswith("blocks.")}
    written = others | {name.replace("blocks.0.", f"blocks.0-{blocks - 1}."): shape for name, shape in first.items()}
    return [f"{network} {name} {','.join(map(str, shape))}" for name, shape in written.items()]


def on_meta(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """Build a network without memory; its drop rates need numbers, and come from the CPU."""
    linspace = torch.linspace
    torch.linspace = functools.partial(linspace, device="cpu")
    try:
        with torch.device("meta"):
            return build()
    finally:
        torch.linspace = linspace


@torch.inference_mode()
def main(videomae_git: str, internvideo_git: str) -> None:
    """Write both files."""
    warnings.simplefilter("ignore")
    stub_dependencies()
    finetune = import_files(videomae_git, COMMITS["VideoMAEv2"], "models", ["modeling_finetune"])["modeling_finetune"]
    single = import_files(
        internvideo_git,
        COMMITS["InternVideo"],
        SINGLE,
        ["pos_embed", "internvideo2", "internvideo2_pretrain", "internvideo2_distill"],
    )
    multi = import_files(internvideo_git, COMMITS["InternVideo"], MULTI, ["pos_embed", "internvideo2"])

    lines = []
    for kind, names in FULL_SIZE.items():
        module = finetune if kind == "videomae" else single[kind]
        options: dict[str, Any] = {"num_classes": 710} if kind in ("videomae", "internvideo2") else {}
        for name in names:
            build = functools.partial(
                getattr(module, f"{name}_224"), **options, **({} if kind == "videomae" else UNFUSED)
            )
            lines += lines_of(name, shapes_of(on_meta(build)))
    for size in ("1b", "6b"):
        config = {"clip_embed_dim": 768, "num_frames": 4, "tubelet_size": 1, "sep_image_video_pos_embed": True}
        config |= {"use_checkpoint": False, "checkpoint_num": 0, "pretrained": None, "clip_norm_type": "l2", **UNFUSED}
        config |= {"clip_teacher_embed_dim": 3200, "clip_teacher_final_dim": 768, "clip_return_layer": 6}
        config |= {"clip_student_return_interval": 1}
        encoder = types.SimpleNamespace(**config, get=lambda key, default, config=config: config.get(key, default))
        build = getattr(multi["internvideo2"], f"pretrain_internvideo2_{size}_patch14_224")
        network = on_meta(functools.partial(build, types.SimpleNamespace(vision_encoder=encoder)))
        lines += lines_of(f"stage2_internvideo2_{size}", shapes_of(network))
    (HERE / "video_transformers_parameters.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for case, (kind, frames, size, sizes) in CASES.items():
        common = {"img_size": size, "embed_dim": sizes["width"], "depth": sizes["depth"], "num_heads": sizes["heads"]}
        common["mlp_ratio"] = sizes["hidden"] / sizes["width"]
        seen = []
        if kind == "videomae":
            norm = functools.partial(torch.nn.LayerNorm, eps=1e-6)
            network = finetune.VisionTransformer(patch_size=sizes["patch"], qkv_bias=True, norm_layer=norm, **common)
        else:
            network = single["internvideo2"].InternVideo2(
                num_frames=frames, attn_pool_num_heads=sizes["heads"], **common, **UNFUSED
            )
            for block in network.blocks:
                block.mlp.act = torch.nn.GELU(approximate="tanh")
            network.clip_projector.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        network.eval().load_state_dict(random_state(shapes_of(network)))
        clips = random_clips(frames, size)
        if kind == "videomae":
            features = network.forward_features(clips)
        else:
            network(clips)
            features = seen[0][:, 1:].mean(1)
        arrays[case] = features.numpy()
        print(case, arrays[case].shape, arrays[case].std(), arrays[case].std(0).mean())
    for old, new in INTERPOLATED.items():
        state = {"pos_embed": random_tensor("pos_embed", (1, 1 + old * 4, 6))}
        network = types.SimpleNamespace(num_frames=new, tubelet_size=1, pos_embed=torch.empty(1, 1 + new * 4, 6))
        network.patch_embed = types.SimpleNamespace(num_patches=new * 4)
        multi["pos_embed"].interpolate_pos_embed_internvideo2(state, network, orig_t_size=old)
        arrays[f"positions-{old}-{new}"] = state["pos_embed"].numpy()
    np.savez_compressed(HERE / "video_transformers.npz", **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
