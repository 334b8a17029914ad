"""Make tests/reference/recipe_facts.json: what the peers' published configurations say, by the recipe's keys.

git clone https://github.com/happyharrycn/actionformer_release
git clone https://github.com/JonnyS1226/ego4d_asl
git clone https://github.com/dingfengshi/TriDet
git clone https://github.com/sming256/OpenTAD
git clone https://github.com/OpenGVLab/video-mamba-suite
python make_recipe_facts.py FOLDER_OF_THE_CLONES

The files are read at the commits below with git; bare clones do too. `recipe` holds what a
recipe can say, `beyond` what it cannot, in the words that the recipe's limits have to repeat,
and `parameters` how many ActionFormer's or TriDet's own code gives a network of that configuration.
Left out: which videos and files are read, the network's input dimensions and its number of classes.
"""

from __future__ import annotations

import importlib
import io
import json
import posixpath
import subprocess
import sys
import tarfile
import tempfile
import types
from pathlib import Path
from typing import Any

import yaml

COMMITS = {
    "actionformer_release": "61ea7eb",
    "TriDet": "764b816",
    "ego4d_asl": "4ffbce5",
    "OpenTAD": "3dd7b03",
    "video-mamba-suite": "2ab60f2",
}
NAMES = {"actionformer_release": "ActionFormer", "ego4d_asl": "ASL's Ego4D code"}
MAMBA = "video-mamba-suite/temporal-action-localization"
ACTIONFORMER_LIKE = {
    "actionformer_release": [
        "anet_i3d",
        "anet_tsp",
        "ego4d_egovlp",
        "ego4d_omnivore",
        "ego4d_omnivore_egovlp",
        "ego4d_slowfast",
        "ego4d_slowfast_egovlp",
        "ego4d_slowfast_omnivore_egovlp",
        "epic_slowfast_noun",
        "epic_slowfast_verb",
        "thumos_i3d",
    ],
    "ego4d_asl": ["baseline"],
    "TriDet": ["anet_tsp", "epic_slowfast_noun", "epic_slowfast_verb", "hacs_slowfast", "thumos_i3d"],
    "video-mamba-suite": ["mamba_anet_new", "mamba_fineaction_new", "mamba_hacs_new", "mamba_thumos_new"],
}
OPENTAD = [
    "actionformer/charades_i3d_rgb",
    "actionformer/charades_videomae_l",
    "actionformer/ego4d_internvideo",
    "actionformer/fineaction_videomae_h",
    "actionformer/fineaction_videomaev2_g",
    "actionformer/hacs_slowfast",
    "actionformer/multithumos_i3d",
    "causaltad/egovis_challenge_2024/epic_internvideo2_1b_noun",
    "causaltad/egovis_challenge_2024/epic_internvideo2_1b_verb",
    "causaltad/egovis_challenge_2024/epic_sounds_audioslowfast",
]
EMA_DECAY = 0.999  # default of ModelEma: ActionFormer's libs/utils/train_utils.py, OpenTAD's opentad/utils/ema.py


class Clone:
    """Files of one repository at one commit."""

    def __init__(self, folder: Path, repository: str) -> None:
        matches = [path for path in (folder / repository, *folder.glob(f"*+{repository}/repo")) if path.exists()]
        self.path, self.commit, self.repository = matches[0], COMMITS[repository], repository

    def read(self, path: str) -> str | None:
        command = ["git", "-C", str(self.path), "show", f"{self.commit}:{path}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def title(self, path: str) -> str:
        return f"{NAMES.get(self.repository, self.repository)} {path} at {self.commit}"


def merged(base: dict, own: dict) -> dict:
    both = base | own
    for key in base.keys() & own.keys():
        if isinstance(base[key], dict) and isinstance(own[key], dict):
            both[key] = merged(base[key], own[key])
    return both


def expect(config: dict, **fixed: Any) -> None:
    """Fail if a configuration asks for what no recipe can change."""
    found = {key: config[key] for key in fixed}
    assert found == fixed, found


def windows(value: int | list[int]) -> int | list[int]:
    """Return a peer's window, or one for each level, as ours: 0 for all."""
    return [max(window, 0) for window in value] if isinstance(value, list) else max(value, 0)


def voting(tiou: float, is_multiclass: bool) -> float:
    """Return the tIoU from which segments vote: batched_nms, the same in all of them, has no voting within classes."""
    return 0.0 if is_multiclass else tiou


def ranges(pairs: list) -> dict[str, Any]:
    """Return first range and overlap; fail if the ranges are not what these two say."""
    first, overlap = pairs[0][1], pairs[0][1] / pairs[1][0]
    for level, (low, high) in enumerate(pairs):
        assert low == (first * 2 ** (level - 1) / overlap if level else 0), pairs
        assert high == (10000 if level == len(pairs) - 1 else first * 2**level), pairs
    return {
        "model.pyramid_levels": len(pairs),
        "model.first_regression_range": first,
        "model.regression_overlap": overlap,
    }


def lengths(longest: int, is_resized: bool) -> dict[str, Any]:
    return {"data.sequence_length": longest} | ({"data.resize_length": longest} if is_resized else {})


def network_facts(config: dict) -> dict[str, Any]:
    """Return the keys of the network; fail if a configuration asks for what no recipe can change."""
    model, train, opt = (config[name] for name in ("model", "train_cfg", "opt"))
    if config["model_name"] == "TriDet":
        expect(model, backbone_type="SGP", downsample_type="max", use_trident_head=True)
        return {
            "model.encoder": "sgp",
            "model.head": "trident",
            "model.sgp_window": model["n_sgp_win_size"],
            "model.sgp_window_factor": model["k"],
            "model.sgp_mlp_width": model["sgp_mlp_dim"],
            "model.sgp_initial_deviation": model["init_conv_vars"],
            "model.head_width": None if model["head_dim"] == model["fpn_dim"] else model["head_dim"],
            "model.head_kernel": model["head_kernel_size"],
            "model.trident_bins": model["num_bins"],
            "model.trident_kernel": model["boudary_kernel_size"],
            "model.padding": "full",  # libs/modeling/meta_archs.py, preprocessing
            "model.input_noise": model["input_noise"],
            "loss.tiou_weight_power": model["iou_weight_power"],
            "optimizer.final_learning_rate_share": round(opt["eta_min"] / opt["learning_rate"], 9),
            "inference.voting_weight": "score",  # libs/utils/nms.py, seg_voting
        }
    expect(model, head_kernel_size=3, use_rel_pe=False)
    assert model["fpn_dim"] == model["head_dim"]
    return {
        "model.attention_heads": model["n_head"],
        "model.attention_window": windows(model["n_mha_win_size"]),
        "model.dropout": train["dropout"],
    }


def actionformer_facts(config: dict) -> dict[str, Any]:
    data, model, train, test, opt = (config[name] for name in ("dataset", "model", "train_cfg", "test_cfg", "opt"))
    expect(model, fpn_type="identity", embd_kernel_size=3)
    expect(model, embd_with_ln=True, fpn_with_ln=True, head_with_ln=True)
    expect(train, center_sample="radius")
    expect(test, nms_method="soft")
    expect(opt, type="AdamW", schedule_type="cosine", warmup=True)
    width = model["embd_dim"]
    assert model["fpn_dim"] == (sum(width) if isinstance(width, list) else width)
    assert len(model["regression_range"]) == model["backbone_arch"][2] + 1
    recipe = {
        **lengths(data["max_seq_len"], data["force_upsampling"]),
        "data.one_class": data["num_classes"] == 1,
        "data.crop_ratio": data["crop_ratio"],
        "data.min_segment_share": data["trunc_thresh"],
        "data.standardize": False,
        "model.width": model["fpn_dim"],
        **({"model.stream_widths": width} if isinstance(width, list) else {}),
        **network_facts(config),
        "model.projection_layers": model["backbone_arch"][0],
        "model.stem_blocks": model["backbone_arch"][1],
        **ranges(model["regression_range"]),
        "model.head_layers": model["head_num_layers"],
        "model.position_embedding": model["use_abs_pe"],
        "model.drop_path": train["droppath"],
        "model.class_prior": train["cls_prior_prob"],
        "loss.center_radius": train["center_sample_radius"],
        "loss.label_smoothing": train["label_smoothing"],
        "loss.localization_weight": train["loss_weight"],
        "loss.initial_positives": train["init_loss_norm"],
        "optimizer.learning_rate": opt["learning_rate"],
        "optimizer.weight_decay": opt["weight_decay"],
        "optimizer.batch_size": config["loader"]["batch_size"],
        "optimizer.epochs": opt["epochs"] + opt["warmup_epochs"],  # "excluding the warmup epochs"
        "optimizer.warmup_epochs": opt["warmup_epochs"],
        "optimizer.gradient_clip": train["clip_grad_l2norm"],
        "optimizer.ema_decay": EMA_DECAY,
        "inference.candidate_min_score": test["pre_nms_thresh"],
        "inference.min_score": test["min_score"],
        "inference.candidates_per_level": test["pre_nms_topk"],
        "inference.max_detections": test["max_seg_num"],
        "inference.nms_sigma": test["nms_sigma"],
        "inference.voting_tiou": voting(test["voting_thresh"], test["multiclass_nms"]),
        "inference.min_length_steps": test["duration_thresh"],
    }
    beyond = {
        "Mamba": model["backbone_type"] == "mamba",
        "every second feature": data["downsample_rate"] == 2,
        "channel attention": "t_c_alpha" in train,
        "XLNet": model.get("use_xl", False),
    }
    if "al_loss_weight" in train:
        recipe["loss.video_label_weight"] = train["al_loss_weight"]
        recipe["contrastive.enabled"] = train["cont_loss_weight"] > 0
        recipe["contrastive.temperature"] = train["temperature"]
        recipe["contrastive.sensitive_share"] = train["length_theta"]
        # Not in the configuration, but in libs/modeling/meta_archs.py:
        recipe |= {"sensitivity.mode": "released", "sensitivity.class_level": True, "contrastive.form": "released"}
        recipe["sensitivity.instance_level"] = False
    return {"recipe": recipe, "beyond": [text for text, holds in beyond.items() if holds]}


def read_opentad(clone: Clone, path: str) -> dict:
    text = clone.read(path)
    if text is None:  # charades_videomae_l.py climbs one folder too many
        text = clone.read(f"configs/{path}")
    assert text is not None, path
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    config: dict = {}
    for base in namespace.get("_base_", []):
        config = merged(config, read_opentad(clone, posixpath.normpath(posixpath.join(posixpath.dirname(path), base))))
    return merged(config, {key: value for key, value in namespace.items() if not key.startswith("__")})


def opentad_facts(config: dict) -> dict[str, Any]:
    data, model, post = config["dataset"]["train"], config["model"], config["post_processing"]
    projection, head, nms = model["projection"], model["rpn_head"], post["nms"]
    cut = next(step for step in data["pipeline"] if step["type"] == "RandomTrunc")
    resize = [step for step in data["pipeline"] if step["type"] == "ResizeFeat"]
    optimizer, scheduler = config["optimizer"], config["scheduler"]
    assert not resize or cut["trunc_len"] == data["resize_length"]
    expect(head, center_sample="radius")
    expect(nms, use_soft_nms=True)
    expect(config["solver"], ema=True)
    expect(optimizer, type="AdamW")
    expect(scheduler, type="LinearWarmupCosineAnnealingLR")
    pairs = head["prior_generator"]["regression_range"]
    assert len(pairs) == projection["arch"][2] + 1 == model["neck"]["num_levels"]
    is_actionformer = model["type"] == "ActionFormer"
    recipe = {
        **lengths(cut["trunc_len"], bool(resize)),
        "data.one_class": data.get("class_agnostic", False),
        "data.crop_ratio": cut["crop_ratio"],
        "data.min_segment_share": cut["trunc_thresh"],
        "data.standardize": False,
        "model.width": head["feat_channels"],
        "model.projection_layers": projection["arch"][0],
        "model.stem_blocks": projection["arch"][1],
        **ranges(pairs),
        "model.head_layers": head["num_convs"] + 1,
        "model.position_embedding": projection["use_abs_pe"],
        "model.class_prior": head["cls_prior_prob"],
        "loss.center_radius": head["center_sample_radius"],
        "loss.label_smoothing": head["label_smoothing"],
        "loss.localization_weight": head.get("loss_weight", 1.0),
        "loss.initial_positives": head["loss_normalizer"],
        "loss.positives_momentum": head["loss_normalizer_momentum"],
        "optimizer.learning_rate": optimizer["lr"],
        "optimizer.weight_decay": optimizer["weight_decay"],
        "optimizer.batch_size": config["solver"]["train"]["batch_size"],
        "optimizer.epochs": scheduler["max_epoch"],  # warm-up included
        "optimizer.warmup_epochs": scheduler["warmup_epoch"],
        "optimizer.gradient_clip": config["solver"]["clip_grad_norm"],
        "optimizer.ema_decay": EMA_DECAY,
        "inference.candidate_min_score": post.get("pre_nms_thresh", 0.001),
        "inference.min_score": nms["min_score"],
        "inference.candidates_per_level": post.get("pre_nms_topk", 2000),
        "inference.max_detections": nms["max_seg_num"],
        "inference.nms_sigma": nms["sigma"],
        "inference.voting_tiou": voting(nms["voting_thresh"], nms["multiclass"]),
    }
    if is_actionformer:
        recipe |= {
            "model.attention_heads": projection["attn_cfg"]["n_head"],
            "model.attention_window": windows(projection["attn_cfg"]["n_mha_win_size"]),
            "model.dropout": projection["conv_cfg"]["proj_pdrop"],
            "model.drop_path": projection["path_pdrop"],
        }
    last = config["workflow"].get("end_epoch")
    beyond = {
        "CausalTAD": not is_actionformer,
        f"drops {projection.get('input_pdrop', 0):.0%} of the input": projection.get("input_pdrop", 0) > 0,
        f"stops after epoch {last}": last is not None,
        "all levels together": True,  # where pre_nms_topk counts
        "not only the shortest": not head.get("filter_similar_gt", True),
    }
    return {"recipe": recipe, "beyond": [text for text, holds in beyond.items() if holds]}


def count_parameters(clone: Clone, configs: dict[str, dict]) -> dict[str, int]:
    """Build the networks with the repository's own code, and count their parameters."""
    command = ["git", "-C", str(clone.path), "archive", clone.commit, "libs"]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    sys.modules["nms_1d_cpu"] = types.ModuleType("nms_1d_cpu")  # the C++ part; not needed here
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(unpacked, filter="data")
        sys.path.insert(0, unpacked)
        for name in [name for name in sys.modules if name.split(".")[0] == "libs"]:  # of another repository
            del sys.modules[name]
        make_meta_arch = importlib.import_module("libs.modeling").make_meta_arch

        counts = {}
        for name, config in configs.items():
            dims = {"input_dim": config["dataset"]["input_dim"], "num_classes": config["dataset"]["num_classes"]}
            rest = {"max_seq_len": config["dataset"]["max_seq_len"]} | {
                part: config[part] for part in ("train_cfg", "test_cfg")
            }
            model = make_meta_arch(config["model_name"], **(config["model"] | dims | rest))
            counts[name] = sum(parameter.numel() for parameter in model.parameters())
    return counts


def main() -> None:
    folder = Path(sys.argv[1])
    facts = {}
    for repository, names in ACTIONFORMER_LIKE.items():
        clone = Clone(folder, repository)
        root = f"{MAMBA}/" if repository == "video-mamba-suite" else ""
        namespace: dict[str, Any] = {}
        exec(clone.read(f"{root}libs/core/config.py") or "", namespace)
        paths = [f"configs/{name}.yaml" for name in names]
        configs = {
            clone.title(path): merged(namespace["DEFAULTS"], yaml.safe_load(clone.read(root + path) or ""))
            for path in paths
        }
        facts |= {title: actionformer_facts(config) for title, config in configs.items()}
        if repository in ("actionformer_release", "TriDet"):
            for title, count in count_parameters(clone, configs).items():
                facts[title]["parameters"] = count
    clone = Clone(folder, "OpenTAD")
    for name in OPENTAD:
        path = f"configs/{name}.py"
        facts[clone.title(path)] = opentad_facts(read_opentad(clone, path))
    target = Path(__file__).parent.parent / "recipe_facts.json"
    lines = [f"{json.dumps(title)}: {json.dumps(entry)}" for title, entry in facts.items()]
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
