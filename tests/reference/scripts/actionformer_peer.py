"""ActionFormer's own code, made to run on a CPU and to answer what the references need."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

PROGRAM = "actionformer"


def use_clone(clone: Path, build_folder: Path | None = None) -> None:
    """Make ActionFormer's packages importable; its soft-NMS, in C++, is compiled unless PYTHONPATH has it."""
    sys.path.insert(0, str(clone))
    try:
        import nms_1d_cpu  # noqa: F401
    except ModuleNotFoundError:
        from torch.utils.cpp_extension import load

        source = clone / "libs/utils/csrc/nms_cpu.cpp"
        folder = None if build_folder is None else str(build_folder)
        sys.modules["nms_1d_cpu"] = load("nms_1d_cpu", [str(source)], build_directory=folder)


def load_config(path: Path) -> dict[str, Any]:
    from libs.core import config

    return config.load_config(str(path), defaults=copy.deepcopy(config.DEFAULTS))


def build(config: dict[str, Any], *, seed: int = 0) -> torch.nn.Module:
    """Return ActionFormer's network, all weights random, those that start at 0 or 1 too; nothing is dropped."""
    from libs.modeling import make_meta_arch

    torch.manual_seed(seed)
    model = make_meta_arch(config["model_name"], **config["model"])
    for name, parameter in model.named_parameters():
        # Norms near 1, others so that values neither vanish nor explode; rounded, so that files compress.
        is_gain = "norm.weight" in name or name.endswith(("ln1.weight", "ln2.weight", ".scale"))
        fan_in = parameter[0].numel() if parameter.ndim == 3 and parameter.shape[0] > 1 else 0
        deviation = (3.0 if "query.w" in name or "key.w" in name else 1.2) / np.sqrt(fan_in) if fan_in else 0.2
        value = float(is_gain) + torch.randn(parameter.shape) * deviation
        parameter.data.copy_(torch.round(value.clamp(-3.9, 3.9) * 256) / 256)
    model.cls_head.cls_head.conv.weight.data *= 4.0
    model.reg_head.offset_head.conv.weight.data *= 4.0
    model.cls_head.cls_head.conv.bias.data -= 2.0
    model.reg_head.offset_head.conv.bias.data += 1.5
    still(model)
    return model


def still(model: torch.nn.Module) -> None:
    """Switch dropout and drop path off."""
    for module in model.modules():
        for attribute in ("p", "drop_prob"):
            if hasattr(module, attribute):
                setattr(module, attribute, 0.0)


def write_data(
    folder: Path, config: dict[str, Any], lengths: list[int], *, seed: int = 0, classes: int | None = None
) -> None:
    """Write feature files, and annotations as ActionFormer reads them: the video's own rate, segments of all sizes.

    `classes` is the number of classes in the annotations; default: as many as the network learns.
    """
    random = np.random.default_rng(seed)
    data = config["dataset"]
    classes = classes or data["num_classes"]
    folders = data["feat_folder"] if isinstance(data["feat_folder"], list) else [data["feat_folder"]]
    dims = data["input_dim"] if isinstance(data["input_dim"], list) else [data["input_dim"]]
    if len(folders) > len(dims):
        dims = [dims[0] - dims[0] // 3, dims[0] // 3]
    database = {}
    for number, length in enumerate(lengths):
        name, fps = f"video_{number}", (30.0, 25.0, 29.97)[number % 3]
        rate = data["default_fps"] or fps
        for place, dim in zip(folders, dims, strict=True):
            (folder / place).mkdir(parents=True, exist_ok=True)
            values = np.round(random.normal(size=(length, dim)) * 64) / 64
            file = folder / place / f"{data.get('file_prefix') or ''}{name}{data['file_ext']}"
            if data["file_ext"] == ".npz":
                np.savez(file, feats=values.astype(np.float32))
            else:
                np.save(file, values.astype(np.float32))
        duration = round(((length - 1) * data["feat_stride"] + data["num_frames"]) / rate, 3)
        starts = np.sort(random.uniform(0, duration * 0.8, 6))
        spans = [[start, min(start + random.uniform(0.03, 0.4) * duration, duration)] for start in starts]
        spans[1] = [spans[0][0], spans[0][1] + 1e-5]  # as long as another, of another class: both are targets
        database[name] = {
            "subset": "test",
            "duration": duration,
            "fps": fps,
            "annotations": [
                {
                    "segment": span,
                    "label": f"class {place % classes}",
                    "label_id": place % classes,
                }
                for place, span in enumerate(spans)
            ],
        }
    missing = range(len(spans), classes)  # ActionFormer counts the classes that occur
    extra = [{"segment": [0.0, 1.0], "label": f"class {number}", "label_id": number} for number in missing]
    database["unused"] = {"subset": "none", "duration": 1.0, "fps": 30.0, "annotations": extra}
    (folder / data["json_file"]).parent.mkdir(parents=True, exist_ok=True)
    (folder / data["json_file"]).write_text(json.dumps({"database": database}))


def read_videos(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the videos as ActionFormer's data set gives them to its network for testing; from the working folder."""
    from libs.datasets import make_dataset

    dataset = make_dataset(config["dataset_name"], False, ("test",), **config["dataset"])
    return [dataset[index] for index in range(len(dataset))]


def read_features(config: dict[str, Any], video: dict[str, Any]) -> list[np.ndarray]:
    """Return the features of a video as they are in the files, (T, D) of each stream."""
    folders, prefix = config["dataset"]["feat_folder"], config["dataset"].get("file_prefix") or ""
    places = folders if isinstance(folders, list) else [folders]
    return [np.load(Path(place) / f"{prefix}{video['video_id']}.npy") for place in places]


def save(
    model: torch.nn.Module, path: Path, config: dict[str, Any], *, steps: int, videos: list[dict[str, Any]]
) -> None:
    """Train so many steps and write a checkpoint as ActionFormer's train.py does."""
    from libs.utils import ModelEma, make_optimizer, make_scheduler, save_checkpoint

    parallel = torch.nn.DataParallel(model)
    optimizer = make_optimizer(parallel, config["opt"])
    scheduler = make_scheduler(optimizer, config["opt"], 10)
    average = ModelEma(parallel)
    parallel.train()
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        model(videos)["final_loss"].backward()
        optimizer.step()
        scheduler.step()
        average.update(parallel)
    state = {
        "epoch": 1,
        "state_dict": parallel.state_dict(),
        "scheduler": scheduler.state_dict(),
        "optimizer": optimizer.state_dict(),
        "state_dict_ema": average.module.state_dict(),
    }
    save_checkpoint(state, False, str(path.parent), path.name)


def outputs(model: torch.nn.Module, video: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return logits and offsets at the video's points, and the detections, as ActionFormer tests."""
    model.eval()
    with torch.no_grad():
        features, masks = model.preprocessing([video])
        pyramid, masks = model.neck(*model.backbone(features, masks))
        valid = torch.cat([mask[0, 0] for mask in masks])
        logits = torch.cat([level[0].T for level in model.cls_head(pyramid, masks)])[valid]
        offsets = torch.cat([level[0].T for level in model.reg_head(pyramid, masks)])[valid]
        (found,) = model([video])
    lasting = found["segments"][:, 1] > found["segments"][:, 0]  # asl-kit leaves out what lasts no time
    return {
        "logits": logits.numpy(),
        "offsets": offsets.numpy(),
        "detected_segments": found["segments"][lasting].numpy(),
        "detected_scores": found["scores"][lasting].numpy(),
        "detected_labels": found["labels"][lasting].numpy(),
    }


def fused(detected: dict[str, dict[str, np.ndarray]], scores: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return the detections of each video with the classes that a file of scores of whole videos names."""
    from libs.utils.postprocessing import postprocess_results

    counts = {video: len(found["detected_scores"]) for video, found in detected.items()}
    together = {
        "video-id": [video for video, count in counts.items() for _ in range(count)],
        "t-start": np.concatenate([found["detected_segments"][:, 0] for found in detected.values()]),
        "t-end": np.concatenate([found["detected_segments"][:, 1] for found in detected.values()]),
        "label": np.concatenate([found["detected_labels"] for found in detected.values()]),
        "score": np.concatenate([found["detected_scores"] for found in detected.values()]),
    }
    results = postprocess_results(together, str(scores))
    videos = np.array(results["video-id"])
    return {
        video: {
            "fused_segments": np.stack([results["t-start"], results["t-end"]], axis=1)[videos == video],
            "fused_scores": results["score"][videos == video],
            "fused_labels": results["label"][videos == video],
        }
        for video in detected
    }


def write_scores(path: Path, videos: list[str], classes: int, *, seed: int = 0) -> None:
    """Write scores of whole videos in CUHK's layout, in another order of the videos."""
    random = np.random.default_rng(seed)
    results = {video: np.round(random.dirichlet(np.ones(classes)), 4).tolist() for video in reversed(videos)}
    names = [f"class {number}" for number in range(classes)]
    path.write_text(json.dumps({"class": names, "results": results}), encoding="utf-8")


def losses(model: torch.nn.Module, videos: list[dict[str, Any]]) -> dict[str, float]:
    model.train()
    return {name: float(value) for name, value in model(videos).items()}


def write_yaml(path: Path, fields: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(fields, sort_keys=False, default_flow_style=None), encoding="utf-8")
