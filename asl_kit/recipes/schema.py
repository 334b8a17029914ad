"""The recipe: the settings of a training run, validated together and stored in the checkpoint.

A recipe is a TOML file whose tables are the classes below. Missing keys have
the values of the recipe that it extends, or else the defaults here; unknown keys
are refused. Built-in recipes are the files in ``asl_kit/recipes``. Recipes contain
no facts of the data: frame rate, stride and class names are read from the store
and the annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator

from asl_kit.base.validation import StrictModel

Auto = Literal["auto"]
# strict: true is not accepted as 1.
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
# Divisors are large enough that float32 does not overflow.
Positive = Annotated[float, Field(ge=1e-9, strict=True)]
NonNegative = Annotated[float, Field(ge=0, strict=True)]
Window = Annotated[int, Field(ge=0, le=2**24, strict=True)]
Count = Annotated[int, Field(ge=1, le=2**24, strict=True)]
Layers = Annotated[int, Field(ge=1, le=64, strict=True)]
Names = str | Annotated[tuple[str, ...], Field(min_length=1)]

Kernel = Annotated[int, Field(ge=1, le=2**12 - 1, strict=True)]

SGP_GROUPS = 16
"""Groups of channels of the SGP encoder's group norm."""
ONE_CLASS = "action"
"""The only class of a model that is trained with `data.one_class`."""


class RecipeTable(StrictModel):
    """A table of the recipe; the text below each key is its documentation in `asl-kit train --print-recipe`."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class DataRecipe(RecipeTable):
    """The data, and how it is cut into training sequences."""

    train_split: Names = "auto"
    """Split to train on, or several: ["train", "val"]; auto: that of the dataset, else `train` or `training`."""
    validation_split: Names = "auto"
    """Split, or several, scored during training; auto: one that is neither training nor test split; `none`: none."""
    vocabulary: Names | None = None
    """Vocabulary that is learned, or several: ["verb", "noun"]; required if the annotations have several."""
    one_class: bool = False
    """Learn actions without their classes, which scores of whole videos name: `asl-kit eval --video-scores FILE`."""
    sequence_length: Count | Auto = "auto"
    """Features in a training sequence; auto: the longest training video, at most `max_sequence_length`."""
    max_sequence_length: Count = 2304
    """Longer videos are cropped at random positions during training."""
    crop_ratio: tuple[Share, Share] = (0.9, 1.0)
    """Shorter videos are cropped to a random share in this range; [1.0, 1.0]: not at all."""
    min_segment_share: Share = 0.5
    """A segment is kept in a cropped sequence if at least this share of it is inside."""
    resize_length: Count | None = None
    """Every video is resized to this number of features, by linear interpolation. Default: not resized."""
    time_scale: Annotated[int, Field(ge=1, le=16, strict=True)] = 1
    """Every video is resized to this multiple of its features: helps where actions are only a few features long."""
    standardize: bool = True
    """Scale each feature dimension to mean 0 and deviation 1 over the training videos."""

    @model_validator(mode="after")
    def _check(self) -> DataRecipe:
        if self.crop_ratio[0] > self.crop_ratio[1]:
            raise ValueError("crop_ratio must be [smallest share, largest share]")
        for key in ("train_split", "validation_split", "vocabulary"):
            names = getattr(self, key)
            if isinstance(names, tuple) and len(set(names)) < len(names):
                raise ValueError(f"{key} must not contain duplicates")
        if self.one_class and isinstance(self.vocabulary, tuple) and len(self.vocabulary) > 1:
            raise ValueError("with one_class, vocabulary must be one: scores of videos name the classes of one")
        if self.resize_length is not None and self.time_scale != 1:
            raise ValueError("resize_length and time_scale exclude each other")
        return self

    def output_classes(self, vocabularies: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Return the classes of the network's outputs by vocabulary: all, or with `one_class` only `ONE_CLASS`."""
        return {name: (ONE_CLASS,) if self.one_class else classes for name, classes in vocabularies.items()}


class ModelRecipe(RecipeTable):
    """The network: projection, encoder and heads."""

    encoder: Literal["attention", "sgp", "maxpool"] = "attention"
    """attention: ActionFormer's blocks; sgp: TriDet's, of convolutions; maxpool: TemporalMaxer's pooling."""
    head: Literal["offsets", "trident"] = "offsets"
    """offsets: distances to start and end; trident: TriDet's, of the boundary scores of the points around."""
    width: Annotated[int, Field(ge=1, le=2**14, strict=True)] = 512
    """Channels of the encoder and the heads."""
    stream_widths: tuple[Count, ...] | None = None
    """Channels of each feature stream after its own projection; they add up to `width`. Default: equal shares."""
    attention_heads: Count = 4
    """Heads of each attention."""
    attention_window: Window | tuple[Window, ...] = 19
    """Features that a feature attends to, with itself in the middle; 0: all. A list: one for each pyramid level."""
    sgp_window: Kernel | tuple[Kernel, ...] = 1
    """Kernel size of sgp's window-level branch. A list: one for each pyramid level, of which the first has no block."""
    sgp_window_factor: Annotated[float, Field(ge=0.5, le=64, strict=True)] = 1.5
    """sgp's wider kernel has `sgp_window` + 1 times this many steps, or one more to be odd: the paper's k."""
    sgp_mlp_width: Count | None = None
    """Hidden channels of sgp's MLP. Default: 4 times `width`."""
    sgp_initial_deviation: NonNegative = 0.1
    """Deviation of the initial weights of sgp's convolutions; 0, as in some of TriDet's files: they stay 0."""
    projection_layers: Layers = 2
    """Convolutions before the encoder."""
    stem_blocks: Annotated[int, Field(ge=0, le=64, strict=True)] = 2
    """Blocks at full rate."""
    pyramid_levels: Annotated[int, Field(ge=1, le=10, strict=True)] | Auto = "auto"
    """Number of levels, each at half the rate of the one below; auto: as many as the longest segments need."""
    first_regression_range: Positive = 4.0
    """Upper bound of level 0's regression range in feature steps; it doubles with each level."""
    regression_overlap: Annotated[float, Field(ge=1, strict=True)] = 1.0
    """Each range starts at the upper bound of the level below divided by this value; 1: ranges do not overlap."""
    head_layers: Layers = 3
    """Convolutions of each head, including the last one."""
    head_width: Count | None = None
    """Channels between the convolutions of the heads. Default: `width`."""
    head_kernel: Kernel = 3
    """Kernel size of the heads."""
    trident_bins: Annotated[int, Field(ge=1, le=1024, strict=True)] = 16
    """Points to either side, in strides, among which the trident head finds a boundary."""
    trident_kernel: Kernel = 3
    """Kernel size of the trident head's boundary scores."""
    position_embedding: bool = False
    """Whether to add sinusoids to the projected features."""
    padding: Literal["spare", "full"] = "spare"
    """spare: outputs do not depend on it; full: at least to the training length, as in ActionFormer and TriDet."""
    input_noise: NonNegative = 0.0
    """Deviation of Gaussian noise that is added to the features in training."""
    dropout: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    """Share of values that are dropped after attention and MLP."""
    drop_path: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.1
    """Share of videos for which a branch of a block is dropped."""
    class_prior: Annotated[float, Field(ge=1e-9, lt=1, strict=True)] = 0.01
    """Probability of every class from the untrained classifier."""

    @model_validator(mode="after")
    def _check(self) -> ModelRecipe:
        if self.encoder == "attention" and self.width % self.attention_heads:
            raise ValueError(f"width must be a multiple of attention_heads = {self.attention_heads}")
        if self.encoder == "sgp" and self.width % SGP_GROUPS:
            raise ValueError(f'width must be a multiple of {SGP_GROUPS} with encoder = "sgp": groups of its group norm')
        if self.encoder == "maxpool" and self.stem_blocks:
            raise ValueError('stem_blocks must be 0 with encoder = "maxpool", which has no blocks at full rate')
        for key, own in (("attention_window", "attention"), ("sgp_window", "sgp")):
            value = getattr(self, key)
            windows = value if isinstance(value, tuple) else (value,)
            if any(window and window % 2 == 0 for window in windows):
                raise ValueError(f"{key} must be odd{', or 0 for all' if own == 'attention' else ''}")
            if self.encoder == own and isinstance(value, tuple) and len(windows) != self.pyramid_levels:
                raise ValueError(f"{key} is a list of {len(windows)}: pyramid_levels must be {len(windows)}")
        for key in ("head_kernel", "trident_kernel"):
            if getattr(self, key) % 2 == 0:
                raise ValueError(f"{key} must be odd")
        if self.stream_widths and sum(self.stream_widths) != self.width:
            raise ValueError(f"stream_widths must add up to width = {self.width}")
        return self


class LossTermRecipe(StrictModel):
    """A loss term of another package: its weight, and its own keys, which the package checks."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)
    weight: NonNegative = 1.0


class LossRecipe(RecipeTable):
    """Target assignment and the two detection losses."""

    center_radius: Positive | Literal["segment"] = 1.5
    """Points within this many strides of a segment's centre are its positives; segment: all points inside it."""
    positive_levels: Literal["by_length", "all"] = "by_length"
    """Levels with positives of a segment: those whose regression range its length suits, or all."""
    focal_alpha: Share = 0.25
    """Weight of positives in the focal loss; that of negatives is 1 minus this value."""
    focal_gamma: NonNegative = 2.0
    """Exponent of the focal loss, which reduces the weight of well-classified points."""
    label_smoothing: Share = 0.0
    """Share of each target that is distributed over the classes."""
    localization_weight: NonNegative = 1.0
    """Weight of the localization loss relative to the classification loss."""
    tiou_weight_power: NonNegative = 0.0
    """Classification losses of positives are weighted by the tIoU of the located segment to this power; 0: not."""
    video_label_weight: NonNegative = 0.0
    """Weight of a loss on the classes of the whole video, as in ASL's Ego4D code, where it is 0.2."""
    initial_positives: Positive = 100.0
    """Initial value of the moving average of the number of positives, which divides the losses."""
    positives_momentum: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.9
    """Momentum of that average."""
    terms: dict[str, LossTermRecipe] = Field(default_factory=dict)
    """Loss terms of other packages: a table [loss.terms.NAME] for each, with its `weight` and its own keys."""


class SensitivityRecipe(RecipeTable):
    """The action sensitivity evaluator. With both levels off, every positive has weight 1: the baseline."""

    class_level: bool = True
    """Learn the distribution of sensitivity over a segment for each class (Gaussians)."""
    instance_level: bool = True
    """Learn the sensitivity of every point (two light branches)."""
    mode: Literal["paper", "released", "normalized", "quality"] = "quality"
    """How the weights are learned and applied: see `asl_kit.model.sensitivity`."""
    localization_target: Literal["tiou", "ends"] = "tiou"
    """What sensitivity for localization learns: tIoU of prediction and truth; ends: how well each end is predicted."""
    evaluator_weight: NonNegative = 1.0
    """Weight of the loss of the evaluator."""
    detached: bool = True
    """Whether the gradient of that loss stops at the two branches, so that it does not train the encoder."""


class ContrastiveRecipe(RecipeTable):
    """The action sensitive contrastive loss, for features of networks that were not trained on these videos' labels."""

    enabled: bool = False
    """Whether to add the loss, as in the paper."""
    form: Literal["paper", "released"] = "paper"
    """released: that of ASL's Ego4D code, where it is switched off: see `asl_kit.model.contrastive`."""
    weight: NonNegative = 0.3
    """lambda."""
    sensitive_share: Annotated[float, Field(ge=1e-9, le=1, strict=True)] = 0.2
    """delta: share of a segment's points that count as sensitive."""
    temperature: Positive = 0.1
    """tau. Default of the released form: 0.07."""

    @model_validator(mode="before")
    @classmethod
    def _temperature_of_the_form(cls, table: object) -> object:
        if isinstance(table, dict) and table.get("form") == "released":
            return {"temperature": 0.07} | table
        return table


class OptimizerRecipe(RecipeTable):
    """AdamW with linear warm-up and cosine decay."""

    learning_rate: Positive = 1e-4
    """Peak learning rate for batches of `batch_size` videos; it is not scaled."""
    encoder_learning_rate_share: Share = 1.0
    """Learning rate of all but the heads, as a share of `learning_rate`: 0.1 to fine-tune with `--start-from`."""
    curve_learning_rate_factor: Positive = 1.0
    """Learning rate of the class level's curves, as a multiple of `learning_rate`; with 1, they hardly move."""
    weight_decay: NonNegative = 0.05
    """Weight decay of the weights of convolutions; other parameters have none."""
    batch_size: Count = 2
    """Videos per step, over all processes."""
    epochs: Count = 30
    """Number of epochs, including warm-up."""
    warmup_epochs: NonNegative = 5.0
    """Epochs over which the learning rate increases from 0."""
    final_learning_rate_share: Share = 0.0
    """Final learning rate, as a share of the peak."""
    gradient_clip: NonNegative = 1.0
    """Maximum norm of the gradient; 0: unlimited."""
    ema_decay: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.999
    """Decay of the moving average of the weights; 0: none. The decay at step t is at most (1 + t) / (10 + t)."""


class InferenceRecipe(RecipeTable):
    """How detections are made from the outputs of the network."""

    min_score: Share = 0.001
    """Minimum score of detections after suppression."""
    sensitivity_power: NonNegative = 0.5
    """Scores are multiplied by q_cls, the instance level's sensitivity, to this power; 0: as published."""
    candidate_min_score: Share | None = None
    """Candidates with higher scores are kept before suppression, and the best one of a class. Default: `min_score`."""
    candidates_per_level: Count = 2000
    """Number of candidates with the highest scores that are kept per pyramid level before suppression."""
    max_detections: Count = 2000
    """Maximum number of detections per video."""
    nms_sigma: Positive = 0.5
    """Width of the Gaussian of soft-NMS."""
    per_class: bool = True
    """Whether suppression and voting treat each class separately; false: all classes together."""
    voting_tiou: Share = 0.7
    """Start and end become the weighted means of the candidates that overlap by at least this tIoU; 0: off."""
    voting_weight: Literal["score_and_tiou", "score"] = "score_and_tiou"
    """Their weights: score times tIoU, or the score alone, as in TriDet."""
    min_length_steps: NonNegative = 0.05
    """Minimum length of candidates, in feature steps."""
    combined_classes: Annotated[int, Field(ge=0, le=100, strict=True)] = 10
    """With several vocabularies: number of best classes of each that are combined at a point; 0: no combinations."""
    window_length: Count | Auto = "auto"
    """Longer videos are processed in overlapping windows of this number of features; auto: 4 training sequences."""


class RunRecipe(RecipeTable):
    """Seed, arithmetic and bookkeeping."""

    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    """Seed of initial weights, order of videos, crops and dropout."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: bfloat16 on GPUs and CPUs that support it (AVX512-BF16 or AMX), else float16 on a GPU, float32 on a CPU."""
    validate_every: Count = 5
    """Epochs between validations; the last epoch is always validated."""
    checkpoint_minutes: Positive = 5.0
    """Minutes between updates of last.ckpt, for --resume; also written with every new best model and at the end."""
    loggers: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ("tensorboard",)
    """Where the training curve goes besides curve.jsonl; wandb and mlflow are extras of asl-kit."""


class Recipe(StrictModel):
    """The settings of a training run."""

    data: DataRecipe = DataRecipe()
    model: ModelRecipe = ModelRecipe()
    loss: LossRecipe = LossRecipe()
    sensitivity: SensitivityRecipe = SensitivityRecipe()
    contrastive: ContrastiveRecipe = ContrastiveRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    inference: InferenceRecipe = InferenceRecipe()
    run: RunRecipe = RunRecipe()
