"""The recipe: every choice of a training run, typed, checked at once, and carried by the checkpoint.

A recipe is a TOML file whose tables are the classes below. Keys left out take
the values of the recipe that it extends, else the defaults here; unknown keys
are refused. Built-in recipes are the files of ``asl_kit/recipes``. Recipes hold
no facts of the data: frame rate, stride and class names are read from the store
and the annotations.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from asl_kit.base.validation import StrictModel

Auto = Literal["auto"]
# Strict: true is no 1.
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
# What is divided by stays far from where float32 overflows.
Positive = Annotated[float, Field(ge=1e-9, strict=True)]
NonNegative = Annotated[float, Field(ge=0, strict=True)]
Window = Annotated[int, Field(ge=0, le=2**24, strict=True)]
Count = Annotated[int, Field(ge=1, le=2**24, strict=True)]
Layers = Annotated[int, Field(ge=1, le=64, strict=True)]


class RecipeTable(StrictModel):
    """A table of the recipe; the text below each key is its documentation, also for `asl-kit train --print-recipe`."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class DataRecipe(RecipeTable):
    """What is read, and how it is cut into training sequences."""

    train_split: str = "auto"
    """Split to train on; auto: the manifest's, else `train` or `training`."""
    validation_split: str = "auto"
    """Split scored while training; auto: one that is neither trained on nor the test split; `none`: none."""
    vocabulary: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Vocabulary that is learned, or several together: ["verb", "noun"]; needed where the annotations have several."""
    sequence_length: Count | Auto = "auto"
    """Features in a training sequence; auto: the longest training video, at most `max_sequence_length`."""
    max_sequence_length: Count = 2304
    """Longer videos are cut at random while training."""
    crop_ratio: tuple[Share, Share] = (0.9, 1.0)
    """A video that needs no cut is still cut to a random share in this range; [1.0, 1.0]: never."""
    min_segment_share: Share = 0.5
    """A segment stays in a cut sequence if at least this share of it does."""
    resize_length: Count | None = None
    """Every video's features are resized to so many, by linear interpolation. Default: as they are."""
    standardize: bool = True
    """Scale each feature dimension to mean 0 and deviation 1 over the training videos."""

    @model_validator(mode="after")
    def _check(self) -> DataRecipe:
        if self.crop_ratio[0] > self.crop_ratio[1]:
            raise ValueError("crop_ratio must be a smallest and a largest share, in this order")
        if isinstance(self.vocabulary, tuple) and len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError("vocabulary must not name one twice")
        return self


class ModelRecipe(RecipeTable):
    """The ActionFormer-style network."""

    width: Annotated[int, Field(ge=1, le=2**14, strict=True)] = 512
    """Channels of the encoder and the heads."""
    stream_widths: tuple[Count, ...] | None = None
    """Channels of each feature stream after its own projection; they add up to `width`. Default: equal shares."""
    attention_heads: Count = 4
    """Heads of each attention."""
    attention_window: Window | tuple[Window, ...] = 19
    """Features that one feature attends to, itself in the middle; 0: all. A list: one for each pyramid level."""
    projection_layers: Layers = 2
    """Convolutions before the transformer."""
    stem_blocks: Annotated[int, Field(ge=0, le=64, strict=True)] = 2
    """Transformer blocks at full rate."""
    pyramid_levels: Annotated[int, Field(ge=1, le=10, strict=True)] | Auto = "auto"
    """Levels, each at half the rate of the one below; auto: as many as the longest segments need."""
    first_regression_range: Positive = 4.0
    """Upper bound of level 0's regression range in feature steps; it doubles with each level."""
    regression_overlap: Annotated[float, Field(ge=1, strict=True)] = 1.0
    """Each range starts at the upper bound of the level below, divided by this; 1: ranges do not overlap."""
    head_layers: Layers = 3
    """Convolutions of each head, the last one included."""
    position_embedding: bool = False
    """Whether to add sinusoids to the projected features."""
    padding: Literal["spare", "full"] = "spare"
    """spare: one step of the top level more than needed; full: to the training length at least, as ActionFormer."""
    dropout: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    """Share of values dropped behind attention and MLP."""
    drop_path: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.1
    """Share of videos for which a branch of a block is dropped."""
    class_prior: Annotated[float, Field(ge=1e-9, lt=1, strict=True)] = 0.01
    """Probability that the untrained classifier gives every class."""

    @model_validator(mode="after")
    def _check(self) -> ModelRecipe:
        if self.width % self.attention_heads:
            raise ValueError(f"width must be a multiple of attention_heads = {self.attention_heads}")
        windows = self.attention_window if isinstance(self.attention_window, tuple) else (self.attention_window,)
        if any(window and window % 2 == 0 for window in windows):
            raise ValueError("attention_window must be odd, or 0 for all")
        if isinstance(self.attention_window, tuple) and len(windows) != self.pyramid_levels:
            raise ValueError(f"attention_window is a list of {len(windows)}: pyramid_levels must be {len(windows)}")
        if self.stream_widths and sum(self.stream_widths) != self.width:
            raise ValueError(f"stream_widths must add up to width = {self.width}")
        return self


class LossRecipe(RecipeTable):
    """Target assignment and the two detection losses."""

    center_radius: Positive = 1.5
    """Points within this many strides of a segment's centre are its positives."""
    focal_alpha: Share = 0.25
    """Weight of positives in the focal loss; negatives get the rest."""
    focal_gamma: NonNegative = 2.0
    """Exponent that quiets what is classified well."""
    label_smoothing: Share = 0.0
    """Share of each target that is spread over the classes."""
    localization_weight: NonNegative = 1.0
    """Weight of the localization loss beside the classification loss."""
    initial_positives: Positive = 100.0
    """Start of the moving average of positives that the losses are divided by."""
    positives_momentum: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.9
    """Momentum of that average."""


class SensitivityRecipe(RecipeTable):
    """The action sensitivity evaluator. With both levels off, every positive weighs 1: the baseline."""

    class_level: bool = True
    """Learn per class how sensitivity runs over a segment (Gaussians)."""
    instance_level: bool = True
    """Learn at every point how sensitive it is (two light branches)."""
    mode: Literal["paper", "normalized", "quality"] = "quality"
    """How the weights are learned and applied: see `asl_kit.model.sensitivity`."""
    evaluator_weight: NonNegative = 1.0
    """Weight of the loss that teaches the evaluator."""
    detached: bool = True
    """Whether that loss teaches the two branches only, and leaves the encoder to the detection losses."""


class ContrastiveRecipe(RecipeTable):
    """The action sensitive contrastive loss: for features whose network has not seen the training videos' labels."""

    enabled: bool = False
    """Whether to add the loss, as the paper does."""
    weight: NonNegative = 0.3
    """lambda."""
    sensitive_share: Annotated[float, Field(ge=1e-9, le=1, strict=True)] = 0.2
    """delta: share of a segment's points taken as its sensitive ones."""
    temperature: Positive = 0.1
    """tau."""


class OptimizerRecipe(RecipeTable):
    """AdamW, linear warm-up, cosine decay."""

    learning_rate: Positive = 1e-4
    """For batches of `batch_size` videos; it is not scaled by anything."""
    weight_decay: NonNegative = 0.05
    """On the weights of convolutions only."""
    batch_size: Count = 2
    """Videos per step, of all processes together."""
    epochs: Count = 30
    """Warm-up included."""
    warmup_epochs: NonNegative = 5.0
    """Epochs over which the learning rate rises from 0."""
    final_learning_rate_share: Share = 0.0
    """Learning rate at the end, as a share of the peak."""
    gradient_clip: NonNegative = 1.0
    """Largest norm of the gradient; 0: unlimited."""
    ema_decay: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.999
    """Decay of the weights' moving average; 0: none. Step t uses at most (1 + t) / (10 + t)."""


class InferenceRecipe(RecipeTable):
    """From the network's outputs to detections."""

    min_score: Share = 0.001
    """Detections score at least this, after suppression."""
    sensitivity_power: NonNegative = 0.5
    """Scores are multiplied by q_cls, the instance level's sensitivity, to this power; 0: as published."""
    candidate_min_score: Share | None = None
    """Candidates score above this, before suppression; the best of a class stays. Default: `min_score`."""
    candidates_per_level: Count = 2000
    """Highest-scoring candidates kept per pyramid level before suppression."""
    max_detections: Count = 2000
    """Per video."""
    nms_sigma: Positive = 0.5
    """Width of soft-NMS's Gaussian."""
    per_class: bool = True
    """Whether only segments of one class suppress each other and vote; false: segments of all classes do."""
    voting_tiou: Share = 0.7
    """Each detection's ends become the score-weighted mean of the candidates that overlap it this much; 0: off."""
    min_length_steps: NonNegative = 0.05
    """Shorter candidates are dropped, in feature steps."""
    combined_classes: Annotated[int, Field(ge=0, le=100, strict=True)] = 10
    """With several vocabularies: highest-scoring classes of each that are combined at a point; 0: no combinations."""
    window_length: Count | Auto = "auto"
    """Longer videos are read in overlapping windows of so many features and stitched; auto: 4 training sequences."""


class RunRecipe(RecipeTable):
    """Seed, arithmetic and bookkeeping."""

    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    """Of initial weights, order, cuts and dropping."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: bfloat16 on GPUs and CPUs that compute it (AVX512-BF16 or AMX), else float16 on a GPU, float32 on a CPU."""
    validate_every: Count = 5
    """Epochs between validations; the last epoch is always validated."""
    checkpoint_minutes: Positive = 10.0
    """Minutes of an epoch between writings of last.ckpt, from which --resume goes on; also written after each epoch."""


class Recipe(StrictModel):
    """A whole training run."""

    data: DataRecipe = DataRecipe()
    model: ModelRecipe = ModelRecipe()
    loss: LossRecipe = LossRecipe()
    sensitivity: SensitivityRecipe = SensitivityRecipe()
    contrastive: ContrastiveRecipe = ContrastiveRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    inference: InferenceRecipe = InferenceRecipe()
    run: RunRecipe = RunRecipe()
