"""The proposal of how to extract and train, with a reason for each choice.

Training derives sequence length, pyramid and regression ranges from the features. The proposal shows them in advance,
derived by the same code from the features that the proposed extraction will make.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from asl_extract.backbones import get_backbone
from asl_extract.clip_plan import ClipPlan
from asl_kit.dataset.default_splits import training_split, validation_split
from asl_kit.dataset.split import VideoItem
from asl_kit.dataset.streams import joined_grid
from asl_kit.errors import MissingFileError
from asl_kit.own_data.survey import Survey
from asl_kit.recipes.files import load_recipe, to_toml_value
from asl_kit.recipes.schema import DataRecipe, Recipe
from asl_kit.torch_utils.device import choose_precision, default_precision
from asl_train.derived_shape import FEW_FEATURES, derive_shape, has_short_segments, shape_table

# Kinetics-400 top-1 and multiplications a clip: torchvision's MViT_V2_S_Weights; X3D-XS in SlowFast's MODEL_ZOO.md.
BACKBONES = {
    "cpu": (
        "x3d_xs",
        "no GPU: 0.6 GMACs a clip, a hundredth of mvit_v2_s (64), with 69 % on Kinetics-400 instead of 81 %",
    ),
    "cuda": (
        "mvit_v2_s",
        "81 % on Kinetics-400, the best of torchvision's networks of up to 64 GMACs a clip, which suits a GPU",
    ),
}
TRAINED_FPS = 30.0
"""Frame rate of the backbones' windows."""
SMALL_SEGMENTS = 2000
"""A set with fewer training segments is small. The default network was published on THUMOS14, which has 3,007."""
SMALL_STEPS = 800
"""Training steps for a small set: `tests/benchmarks/studies/parts.toml` takes 715 on GTEA and 900 on 50 Salads."""
LARGE_VIDEOS = 2000
"""From this number of training videos on, use the batch size and learning rate published for ActivityNet (10,024)."""
MOST_TIMES_LONGER = 4
"""Maximum length of a training sequence, as a multiple of the default."""
FEWEST_EPOCHS, MOST_EPOCHS = 30, 200


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting: an option of ``asl-kit extract``, a recipe key, or a value that training derives."""

    name: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """All choices and their consequences."""

    extraction: list[Choice]
    """Options of ``asl-kit extract``."""
    recipe: list[Choice]
    """Keys of the recipe."""
    left: list[Choice]
    """Values that extraction and training derive."""
    derived: Table
    """Shape of the network, as training will print it."""
    features: int
    """Number of clips to compute for all annotated videos."""

    def to_json(self) -> dict[str, Any]:
        """Return the choices as plain data."""
        lists = {"extraction": self.extraction, "recipe": self.recipe, "derived": self.left}
        return {name: [asdict(choice) for choice in choices] for name, choices in lists.items()} | {
            "features": self.features
        }


def propose(
    survey: Survey, *, device: torch.device, weights: str = "default", extraction: list[Choice] | None = None
) -> Proposal:
    """Choose how to extract and train.

    Parameters
    ----------
    survey : Survey
        The survey.
    device : torch.device
        Device of extraction and training; its type decides the backbone.
    weights : str
        Weights of the backbone, as for ``asl-kit extract``.
    extraction : list of Choice, optional
        Options of ``asl-kit extract`` that are already decided. Default: those of `propose_extraction`.
    """
    if extraction is None:
        extraction = propose_extraction(survey, device=device, weights=weights)
    options = {choice.name: choice.value for choice in extraction}
    fps = options.get("--fps")
    plans = {
        video_id: ClipPlan(
            frame_count=max(1, round(header.duration_s * header.fps)),
            fps=header.fps,
            window_frames=options["--window"],
            stride_frames=options["--stride"],
            clip_frames=1,
            resample_fps=fps,
        )
        for video_id, header in survey.headers.items()
    }
    items = [
        VideoItem(
            video_id=video_id,
            duration_s=survey.headers[video_id].duration_s,
            grid=plans[video_id].grid,
            segments_s=np.array([(item.start, item.end) for item in video.segments or ()]).reshape(-1, 2),
            labels=np.zeros((len(video.segments or ()), 1), dtype=np.int64),
        )
        for video_id, video in survey.train.items()
    ]
    finer = []
    if has_short_segments(items):
        reason = f"a tenth of the segments have fewer than {FEW_FEATURES} features at this stride"
        finer = [Choice("data.time_scale", 2, reason)]
        items = [replace(item, grid=joined_grid(item.grid, DataRecipe(time_scale=2))) for item in items]
    recipe_choices = _recipe(survey, items) + finer
    recipe = load_recipe(settings=[f"{choice.name}={to_toml_value(choice.value)}" for choice in recipe_choices])
    shape = derive_shape(items, [get_backbone(options["--backbone"]).feature_dim], recipe)
    classes = sum(map(len, survey.annotations.vocabularies.values()))
    steps = math.ceil(len(items) / recipe.optimizer.batch_size) * recipe.optimizer.epochs
    validation = validation_split(survey.annotations, "auto", training_split(survey.annotations, "auto"))
    left = [
        Choice("sequence length", shape.sequence_length, "the longest training video, at most 2,304 features"),
        Choice("pyramid levels", shape.levels, "the longest segments fit the regression range of the top level"),
        Choice(
            "moving average (EMA)",
            recipe.optimizer.ema_decay,
            f"with warm-up: after {steps:,} steps it covers the last {max(1, min(steps // 9, 1000)):,}; "
            + ("its weights are kept" if validation is None else f"kept if it is better on {validation!r}"),
        ),
        Choice(
            "precision",
            str(choose_precision("auto", device)).removeprefix("torch."),
            f"training on this {_name(device)}; features are extracted in {default_precision(device)}",
        ),
    ]
    return Proposal(
        extraction=extraction,
        recipe=recipe_choices,
        left=left,
        derived=shape_table(shape, items, recipe, classes),
        features=sum(plan.length for plan in plans.values()),
    )


def resolve_weights(weights: str) -> str:
    """Return `weights`; the path of a file as an absolute path.

    Raises
    ------
    MissingFileError
        If `weights` is neither `default` nor `random`, nor a file.
    """
    if weights in ("default", "random"):
        return weights
    if not Path(weights).is_file():
        raise MissingFileError(f"--weights {weights}: no such file")
    return str(Path(weights).resolve())


def _name(device: torch.device) -> str:
    return "CPU" if device.type == "cpu" else "GPU"


def propose_extraction(survey: Survey, *, device: torch.device, weights: str) -> list[Choice]:
    """Choose the options of ``asl-kit extract``; parameters as in `propose`."""
    name, reason = BACKBONES[device.type]
    spec = get_backbone(name)
    choices = [Choice("--backbone", name, reason)]
    if weights != "default":
        choices.append(Choice("--weights", weights, "as requested"))
    if weights == "random":
        choices.append(Choice("--dtype", "float32", "features of an untrained network differ little from their mean"))
    fps = float(np.median([header.fps for header in survey.headers.values()]))
    if survey.mixed_fps:
        fps = float(survey.common_fps)
        choices.append(
            Choice(
                "--fps",
                survey.common_fps,
                "frame rates are mixed: at one rate, windows have the same duration in every video",
            )
        )
    lengths_s = survey.lengths_s()
    short_s, middle_s = (float(value) for value in np.percentile(lengths_s, (10, 50)))
    trained = max(1, round(spec.window_frames * fps / TRAINED_FPS))
    window = trained
    while window // 2 >= spec.clip_frames and window / fps > middle_s:
        window //= 2
    reason = (
        f"{window / fps:.2g} s, as in the training of {name}"
        if window == trained
        else f"{window / fps:.2g} s instead of {trained / fps:.2g} s as in the training of {name}:"
        f" half of the segments are shorter than {middle_s:.2g} s"
    )
    choices.append(Choice("--window", window, reason))
    stride = int(short_s / FEW_FEATURES * fps)
    stride = min(max(stride, window // 16, 1), max(window // 2, 1))
    reason = (
        f"{stride / fps:.2g} s: nine tenths of the segments are longer than {short_s:.2g} s,"
        f" {short_s * fps / stride:.1f} features or more"
    )
    choices.append(Choice("--stride", stride, reason))
    return choices


def _recipe(survey: Survey, items: list[VideoItem]) -> list[Choice]:
    segments, videos = len(survey.lengths_s()), len(items)
    choices = []
    vocabularies = list(survey.annotations.vocabularies)
    if len(vocabularies) > 1:
        choices.append(Choice("data.vocabulary", vocabularies, "one network is trained on all vocabularies together"))
    if segments < SMALL_SEGMENTS:
        choices += _small(segments, videos)
    elif videos >= LARGE_VIDEOS:
        reason = f"{videos:,} training videos: as published for ActivityNet with 10,024"
        choices += [
            Choice("optimizer.batch_size", 16, reason),
            Choice("optimizer.learning_rate", 1e-3, reason),
            Choice("optimizer.epochs", 15, reason),
        ]
    unseen = "the backbone was not trained on these videos: all of ASL, as published, works best with such features"
    choices.append(Choice("contrastive.enabled", True, unseen))
    choices.append(Choice("inference.sensitivity_power", 0.0, unseen))
    limit = Recipe().data.max_sequence_length
    longest = max(
        float((item.segments_s[:, 1] - item.segments_s[:, 0]).max(initial=0.0)) / item.grid.step_s for item in items
    )
    if longest > limit:
        value = limit * min(2 ** math.ceil(math.log2(longest / limit)), MOST_TIMES_LONGER)
        reason = f"the longest segment has {longest:,.0f} features: the default, {limit:,}, would always crop it"
        choices.append(Choice("data.max_sequence_length", value, reason))
    return choices


def _small(segments: int, videos: int) -> list[Choice]:
    """Return settings for few segments: those of `tests/benchmarks/studies/parts.toml`, tested on GTEA."""
    default = Recipe()
    few = f"{segments:,} training segments: a small network overfits less"
    ego4d = "as in ActionFormer for Ego4D: the best of five configurations tested on GTEA, a small set"
    steps = math.ceil(videos / default.optimizer.batch_size)
    epochs = min(max(math.ceil(SMALL_STEPS / steps), FEWEST_EPOCHS), MOST_EPOCHS)
    return [
        Choice("model.width", 128, few),
        Choice("model.attention_window", 9, few),
        Choice("model.dropout", 0.1, few),
        Choice("model.position_embedding", True, ego4d),
        Choice("model.regression_overlap", 2, ego4d),
        Choice("data.min_segment_share", 0.3, ego4d),
        Choice("optimizer.learning_rate", 5e-4, "a network a quarter as wide allows larger steps"),
        Choice(
            "optimizer.epochs",
            epochs,
            f"{steps:,} batches of {default.optimizer.batch_size} videos an epoch: {steps * epochs:,} steps",
        ),
        Choice("inference.max_detections", 200, "per video, enough for few classes and short videos"),
    ]
