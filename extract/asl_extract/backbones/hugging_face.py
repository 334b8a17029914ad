"""Video and image encoders of Hugging Face's transformers: ``hf:MODEL``, ``hf:MODEL@REVISION`` and ``hf:FOLDER``.

A model of the hub becomes ``hf:MODEL@COMMIT``, so that a store names what made it and other revisions are refused; a
folder is one that ``save_pretrained`` wrote, and needs no network. The model's own processor prepares the frames as it
is: its rounding when it resizes bytes is that of no other code. Weights are read from safetensors only, and code that
comes with a model is never run.

`_ARCHITECTURES` states what is known of each architecture. A clip is as many consecutive frames as the configuration
states, or one frame for an image network. Of networks for images and text, only the part for images is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asl_extract.backbones._hub import fetch_from_hub
from asl_extract.backbones.spec import BackboneSpec, PublishedWeights, StateDict
from asl_extract.frames import LibraryTransform
from asl_kit.errors import CheckpointError, MissingDependencyError, MissingFileError, UsageError

_VIDEO_PROCESSOR = "video_preprocessor_config.json"
_SETTINGS = ("config.json", "preprocessor_config.json", "processor_config.json", _VIDEO_PROCESSOR)
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
_SIZES = ((96, 128), (128, 96))
"""Frames that a processor is tried on."""


@dataclass(frozen=True)
class _Architecture:
    """An architecture of transformers.

    Parameters
    ----------
    encoder : str
        The class of transformers that holds the encoder.
    poolings : tuple of str
        Ways to make one feature of the tokens, the default first. ``mean``: of the patch tokens, without class and
        register tokens; ``class``: the class token; ``pooler``: the model's own ``pooler_output``.
    clip_frames : str
        The name of the number of frames in the configuration; empty: an image network.
    class_token : bool
        Whether a class token, and after it register tokens, precede the patch tokens.
    each_frame : bool
        Whether the tokens are those of single frames, whose features are averaged.
    prefix : str
        What precedes the encoder's names in weights of the whole model, where transformers itself does not see to it.
    """

    encoder: str
    poolings: tuple[str, ...]
    clip_frames: str = ""
    class_token: bool = True
    each_frame: bool = False
    prefix: str = ""


# The default pooling is what the classifiers or similarities of the published models are computed from, as far as the
# encoder without a classifier gives it.
_ARCHITECTURES = {
    "clip": _Architecture("CLIPVisionModel", ("pooler", "mean"), each_frame=True),
    "dinov2": _Architecture("Dinov2Model", ("pooler", "mean"), each_frame=True),
    "dinov2_with_registers": _Architecture("Dinov2WithRegistersModel", ("pooler", "mean"), each_frame=True),
    "dinov3_vit": _Architecture("DINOv3ViTModel", ("pooler", "mean"), each_frame=True),
    "hiera": _Architecture("HieraModel", ("pooler", "mean"), class_token=False, each_frame=True),
    "siglip": _Architecture("SiglipVisionModel", ("pooler", "mean"), class_token=False, each_frame=True),
    "timesformer": _Architecture("TimesformerModel", ("class", "mean"), "num_frames"),
    "videomae": _Architecture("VideoMAEModel", ("mean",), "num_frames", class_token=False),
    "vivit": _Architecture("VivitModel", ("class", "mean"), "num_frames"),
    "vjepa2": _Architecture("VJEPA2Model", ("mean",), "frames_per_clip", class_token=False),
    "xclip": _Architecture(
        "XCLIPVisionModel", ("pooler", "mean"), "num_frames", each_frame=True, prefix="vision_model."
    ),
}


def make_backbone(model: str, *, pooling: str = "") -> BackboneSpec:
    """Return the backbone ``hf:MODEL``.

    Parameters
    ----------
    model : str
        A folder, or a model of the hub, perhaps with ``@`` and a revision.
    pooling : str
        How tokens become a feature; empty: the architecture's default.

    Raises
    ------
    MissingDependencyError
        If transformers is not installed.
    MissingFileError
        If there is no such folder.
    UsageError
        If the architecture is not known, or has no such pooling.
    CheckpointError
        If the model cannot be downloaded from the hub, or its settings cannot be read or used.
    """
    _check_extra()
    name, folder = _find(model)
    name = f"hf:{name}"
    architecture = _read_architecture(folder, of=name)
    if pooling and pooling not in architecture.poolings:
        raise UsageError(f"{name} has no pooling {pooling!r}", hint=f"give {' or '.join(architecture.poolings)}")
    pooling = pooling or architecture.poolings[0]
    config, processor, size = _read_settings(folder, of=name)
    make = partial(_Encoder, architecture=architecture, pooling=pooling, of=name)
    return BackboneSpec(
        name=name,
        clip_frames=getattr(config, architecture.clip_frames) if architecture.clip_frames else 1,
        resize=LibraryTransform(partial(_prepare, processor), crop=size, description=_describe(processor)),
        mean=_each_channel(processor.image_mean if processor.do_normalize else 0.0),
        std=_each_channel(processor.image_std if processor.do_normalize else 1.0),
        feature_dim=config.hidden_size,
        frame_step=1,
        build=partial(_build, make, config),
        classifier=(),
        published=PublishedWeights("model.safetensors", load=partial(_load, make, config, model=name, folder=folder)),
        fixed_size=True,
        pooling=pooling,
    )


class _Encoder(nn.Module):
    """A model of transformers, and the pooling of its tokens."""

    def __init__(self, model: Any, *, architecture: _Architecture, pooling: str, of: str) -> None:
        super().__init__()
        # Parts that the feature does not need, and that checkpoints may lack.
        for part in ("predictor", "pooler"):
            if part != pooling and getattr(model, part, None) is not None:
                setattr(model, part, None)
        self.model = model
        self._input = model.main_input_name
        self._options = {"skip_predictor": True} if hasattr(model, "predictor") else {}
        self._each_frame = architecture.each_frame
        self._pooling = pooling
        registers = getattr(model.config, "num_register_tokens", 0)
        self._first_patch = 1 + registers if architecture.class_token else 0
        self._of = of

    def forward(self, clips: Tensor) -> Tensor:
        """Return the features of clips: (B, 3, T, S, S) -> (B, D)."""
        frames = clips.transpose(1, 2).contiguous()
        if self._each_frame:
            frames = frames.flatten(0, 1)
        try:
            tokens = self.model(**{self._input: frames}, **self._options)
        except ValueError as fault:
            raise CheckpointError(
                f"{self._of}: the model refuses clips of shape {tuple(clips.shape)}: {_first_line(fault)}",
                hint="do the sizes in its preprocessor_config.json suit its config.json?",
            ) from fault
        if self._pooling == "pooler":
            features: Tensor = tokens.pooler_output
        elif self._pooling == "class":
            features = tokens.last_hidden_state[:, 0]
        else:
            features = tokens.last_hidden_state[:, self._first_patch :].mean(1)
        return features.unflatten(0, (len(clips), -1)).mean(1) if self._each_frame else features


def _check_extra() -> None:
    try:
        import safetensors  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as fault:
        raise MissingDependencyError(
            f"backbones hf:MODEL need transformers and safetensors: {fault}", hint="pip install 'asl-kit[hf]'"
        ) from fault


def _find(model: str) -> tuple[str, Path]:
    """Return the full name of a model and the folder with its settings."""
    folder = Path(model).expanduser()
    if model and folder.is_dir():
        return str(folder.absolute()), folder
    if model.startswith(("/", ".", "~")) or not model:
        raise MissingFileError(
            f"hf:{model}: no such folder",
            hint="give a folder with config.json, or a model of the Hugging Face hub: hf:OWNER/NAME",
        )
    model, _, revision = model.partition("@")
    folder = fetch_from_hub(model, _SETTINGS, revision=revision or None, backbone=f"hf:{model}")
    return f"{model}@{folder.name}", folder


def _read_architecture(folder: Path, *, of: str) -> _Architecture:
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{of}: no config.json", hint="give a folder that a model of transformers was saved to")
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise CheckpointError(
            f"{of}: {path} does not state a model_type: {type(fault).__name__}: {fault}",
            hint="give a folder that a model of transformers was saved to",
        ) from fault
    architecture = _ARCHITECTURES.get(str(kind).removesuffix("_vision_model"))
    if architecture is None:
        raise UsageError(
            f"{of} is of the architecture {kind!r}, whose frames and tokens are not known here",
            hint=f"architectures: {', '.join(_ARCHITECTURES)}; another one can be a plug-in, see docs/plugins.md",
        )
    return architecture


def _read_settings(folder: Path, *, of: str) -> tuple[Any, Any, int]:
    """Return the configuration of the encoder, the processor, and the height and width of what it makes of frames."""
    from transformers import AutoConfig, AutoImageProcessor, AutoVideoProcessor

    auto = AutoVideoProcessor if (folder / _VIDEO_PROCESSOR).exists() else AutoImageProcessor
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            processor = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            shapes = {tuple(_prepare(processor, torch.zeros(1, 3, *size, dtype=torch.uint8)).shape) for size in _SIZES}
    except Exception as fault:  # transformers may raise anything for what it does not understand
        raise CheckpointError(
            f"{of}: its config.json and preprocessor_config.json cannot be used: {_first_line(fault)}",
            hint="are both files there? Newer architectures need a newer transformers",
        ) from fault
    _, _, height, width = shapes.pop()
    if shapes or height != width:
        raise CheckpointError(
            f"{of}: its processor does not turn all frames into square images of one size: {_describe(processor)}",
            hint="state a crop_size or a size with equal height and width in its preprocessor_config.json",
        )
    return getattr(config, "vision_config", config), processor, height


def _build(make: partial[_Encoder], config: Any, frame_size: int) -> nn.Module:
    import transformers

    with _quiet():
        return make(getattr(transformers, make.keywords["architecture"].encoder)(config))


def _load(make: partial[_Encoder], config: Any, *, model: str, folder: Path) -> StateDict:
    import transformers

    source, at, revision = model.removeprefix("hf:").rpartition("@")
    if at and folder.name == revision:
        folder = fetch_from_hub(source, [*_SETTINGS, *_WEIGHTS], revision=revision, backbone=model)
    if not any(folder.glob("model*.safetensors")):
        raise CheckpointError(
            f"{model} has no weights as safetensors: {folder} has no model.safetensors",
            hint="other files hold programs, which are not run: in Python, AutoModel.from_pretrained(...)"
            ".save_pretrained(FOLDER) writes safetensors; or give --weights random to try it",
        )
    architecture: _Architecture = make.keywords["architecture"]
    try:
        with _quiet():
            loaded, info = getattr(transformers, architecture.encoder).from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                key_mapping={f"^{re.escape(architecture.prefix)}": ""} if architecture.prefix else None,
            )
    except Exception as fault:  # as in _read_settings
        raise CheckpointError(f"{model}: its weights cannot be loaded: {_first_line(fault)}") from fault
    state: StateDict = make(loaded).state_dict()
    if missing := [name for name in sorted(info["missing_keys"]) if f"model.{name}" in state]:
        raise CheckpointError(
            f"{model}: its weights lack {len(missing)} tensors of its configuration: {missing[0]} ...",
            hint="is it a model of another kind, or are files missing?",
        )
    return state


def _prepare(processor: Any, frames: Tensor) -> Tensor:
    """Return what the processor makes of frames: uint8 (N, 3, H, W) -> float32 (N, 3, S, S)."""
    from transformers.video_processing_utils import BaseVideoProcessor

    batch = processor(frames if isinstance(processor, BaseVideoProcessor) else list(frames), return_tensors="pt")
    pixels: Tensor = batch["pixel_values"] if "pixel_values" in batch else batch["pixel_values_videos"]
    return pixels.flatten(0, -4).to(frames.device)


def _each_channel(values: float | Sequence[float]) -> tuple[float, ...]:
    return tuple(map(float, values if isinstance(values, Sequence) else [values] * 3))


def _describe(processor: Any) -> str:
    """Return the settings of a processor that decide its result, besides mean and standard deviation."""
    names = ("size", "resample", "crop_size", "rescale_factor", "offset")
    settings = {name: value for name, value in processor.to_dict().items() if name in names or name.startswith("do_")}
    return f"{type(processor).__name__} {json.dumps(settings, sort_keys=True, default=str)}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Let transformers print no bars, and no remarks on parts of a model that are not used."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]
