"""TriDet's own code, made to run on a CPU and to answer what the references need; see actionformer_peer.py."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import actionformer_peer
import numpy as np
import torch
from actionformer_peer import fused, load_config, losses, save, use_clone, write_scores, write_yaml
from torch.nn import functional as F

__all__ = [
    "build", "fused", "load_config", "losses", "outputs", "read_features", "read_videos", "save", "use_clone",
    "write_data", "write_scores", "write_yaml",
]  # fmt: skip
PROGRAM = "tridet"


def build(config: dict[str, Any], *, seed: int = 0) -> torch.nn.Module:
    """Return TriDet's network, all weights random, those that start at 0 or 1 too; no noise, and nothing is dropped."""
    from libs.modeling import make_meta_arch

    torch.manual_seed(seed)
    model = make_meta_arch(config["model_name"], **config["model"])
    for name, parameter in model.named_parameters():
        is_gain = "norm.weight" in name or name.endswith((".ln.weight", ".gn.weight", ".scale"))
        fan_in = parameter[0].numel() if parameter.ndim == 3 and parameter.shape[0] > 1 else 0
        deviation = 1.2 / np.sqrt(fan_in) if fan_in else 0.2
        if any(part in name for part in (".psi.", ".convw.", ".convkw.", "fc.")):
            deviation *= 0.5  # a product of these is added to the sequence in every block
        value = float(is_gain) + torch.randn(parameter.shape) * deviation
        parameter.data.copy_(torch.round(value.clamp(-3.9, 3.9) * 256) / 256)
    heads = [model.cls_head.cls_head, model.reg_head.offset_head]
    if config["model"]["use_trident_head"]:
        heads += [model.start_head.cls_head, model.end_head.cls_head]
    for head in heads:
        head.conv.weight.data *= 4.0
    model.cls_head.cls_head.conv.bias.data -= 2.0
    model.reg_head.offset_head.conv.bias.data += 1.5
    actionformer_peer.still(model)
    model.input_noise = 0
    return model


def write_data(
    folder: Path, config: dict[str, Any], lengths: list[int], *, seed: int = 0, classes: int | None = None
) -> None:
    """Write feature files and annotations as TriDet reads them."""
    actionformer_peer.write_data(folder, config, lengths, seed=seed, classes=classes)
    data = config["dataset"]
    if config["dataset_name"] != "hacs":
        return
    # HACS's reader looks in a folder of the split, and for SlowFast in pickled tensors.
    document = json.loads((folder / data["json_file"]).read_text(encoding="utf-8"))
    place = folder / data["feat_folder"]
    (place / "test").mkdir()
    for name in document["database"]:
        if name != "unused":
            path = place / f"{name}{data['file_ext']}"
            values = np.load(path if path.exists() else path.with_name(path.name + ".npy"))
            if data["backbone_type"] == "slowfast":
                slow, fast = torch.from_numpy(values.T.copy())[None].split([values.shape[1] - 2, 2], dim=1)
                with (place / "test" / f"{name}{data['file_ext']}").open("wb") as file:
                    pickle.dump({"slow_feature": slow, "fast_feature": fast}, file)
            else:
                np.save(place / "test" / f"{name}{data['file_ext']}", values)
    for path in place.glob("*.npy"):  # asl-kit reads the folder with all that it contains
        if data["backbone_type"] == "slowfast":
            path.rename(path.with_name(path.name.replace(".pkl", "")))
        else:
            path.unlink()


def read_videos(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the videos as TriDet's data set gives them to its network for testing; from the working folder."""
    from libs.datasets import make_dataset

    dataset = make_dataset(config["dataset_name"], False, ("test",), **config["dataset"])
    if config["dataset_name"] == "hacs":
        dataset.file_prefix = ""  # its reader asks for one with I3D, and never sets it
    return [dataset[index] for index in range(len(dataset))]


def read_features(config: dict[str, Any], video: dict[str, Any]) -> list[np.ndarray]:
    """Return the features of a video, (T, D): TriDet has one stream, and no configuration that resizes."""
    return [video["feats"].T.numpy()]


def outputs(model: torch.nn.Module, video: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return logits and distances of each class at the video's points, and the detections, as TriDet tests."""
    model.eval()
    found_logits, found_offsets = [], []
    with torch.no_grad():
        features, masks = model.preprocessing([video])
        pyramid, masks = model.neck(*model.backbone(features, masks))
        logits, offsets = model.cls_head(pyramid, masks), model.reg_head(pyramid, masks)
        trident = model.use_trident_head
        ends = [head(pyramid, masks) for head in (model.start_head, model.end_head)] if trident else [logits, logits]
        for own, distance, start, end, mask in zip(logits, offsets, *ends, masks, strict=True):
            around = [None, None]
            if trident:
                bins = model.num_bins
                around = [
                    F.pad(scores[0], padding).unfold(1, bins + 1, 1)  # class, point, bin
                    for scores, padding in ((start, (bins, 0)), (end, (0, bins)))
                ]
            # Class, point, 2 with the trident head; else point, 2.
            decoded = model.decode_offset(distance[0].T, *around)
            of_classes = decoded.transpose(0, 1) if trident else decoded[:, None].expand(-1, own.shape[1], -1)
            found_logits.append(own[0].T[mask[0, 0]])
            found_offsets.append(of_classes[mask[0, 0]])
        (found,) = model([video])
    lasting = found["segments"][:, 1] > found["segments"][:, 0]  # asl-kit leaves out what lasts no time
    return {
        "logits": torch.cat(found_logits).numpy(),
        "offsets": torch.cat(found_offsets).numpy(),
        "detected_segments": found["segments"][lasting].numpy(),
        "detected_scores": found["scores"][lasting].numpy(),
        "detected_labels": found["labels"][lasting].numpy(),
    }
