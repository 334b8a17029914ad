"""What the configuration files of ActionFormer and of programs made from it have in common.

Fields, names and defaults are those of ``libs/core/config.py`` and of the data sets in ``libs/datasets``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import yaml
from pydantic import Field

from asl_kit.base.validation import StrictModel, error_line, list_errors, validate
from asl_kit.errors import CheckpointError, MissingFileError
from asl_kit.recipes.schema import Layers, Recipe

Dimension = Annotated[int, Field(ge=1, le=2**20)]
Fault = tuple[str, str, object]
"""A key, what is supported, and the value found."""


class DatasetConfig(StrictModel):
    """Table `dataset`."""

    json_file: str | None = None
    feat_folder: str | tuple[str, ...] | None = None
    file_prefix: str | None = None
    file_ext: str | None = None
    feat_stride: int = 16
    num_frames: int = 32
    default_fps: float | None = None
    input_dim: Dimension | tuple[Dimension, ...] = 2304
    num_classes: Annotated[int, Field(ge=1, le=2**20)] = 97
    downsample_rate: int = 1
    max_seq_len: Annotated[int, Field(ge=1, le=2**24)] = 2304
    trunc_thresh: float = 0.5
    crop_ratio: tuple[float, float] | None = None
    force_upsampling: bool = False


class LoaderConfig(StrictModel):
    """Table `loader`."""

    batch_size: int = 8
    num_workers: int = 4


class ModelConfig(StrictModel):
    """What the tables `model` have in common."""

    backbone_type: str
    fpn_type: str = "identity"
    backbone_arch: tuple[Layers, Annotated[int, Field(ge=0, le=64)], Annotated[int, Field(ge=0, le=9)]] = (2, 2, 5)
    scale_factor: int = 2
    regression_range: Annotated[tuple[tuple[float, float], ...], Field(min_length=1)] = (
        (0, 4),
        (4, 8),
        (8, 16),
        (16, 32),
        (32, 64),
        (64, 10000),
    )
    embd_kernel_size: int = 3
    embd_dim: int | tuple[int, ...] = 512
    embd_with_ln: bool = True
    fpn_dim: int = 512
    fpn_with_ln: bool = True
    head_dim: int = 512
    head_kernel_size: int = 3
    head_num_layers: Layers = 3
    head_with_ln: bool = True
    max_buffer_len_factor: Annotated[float, Field(gt=0, le=1e6)] = 6.0
    use_abs_pe: bool = False


class TrainConfig(StrictModel):
    """Table `train_cfg`."""

    center_sample: str = "radius"
    center_sample_radius: float = 1.5
    loss_weight: float = 1.0
    cls_prior_prob: float = 0.01
    init_loss_norm: float = 2000
    clip_grad_l2norm: float = -1
    head_empty_cls: tuple[int, ...] = ()
    dropout: float = 0.0
    droppath: float = 0.1
    label_smoothing: float = 0.0


class TestConfig(StrictModel):
    """Table `test_cfg`."""

    pre_nms_thresh: float = 0.001
    pre_nms_topk: int = 5000
    iou_threshold: float = 0.1
    min_score: float = 0.01
    max_seg_num: int = 1000
    nms_method: str = "soft"
    nms_sigma: float = 0.5
    duration_thresh: float = 0.05
    multiclass_nms: bool = True
    ext_score_file: str | None = None
    voting_thresh: float = 0.75


class OptimizerConfig(StrictModel):
    """Table `opt`."""

    type: str = "AdamW"
    momentum: float = 0.9
    weight_decay: float = 0.0
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    epochs: int = 30
    warmup: bool = True
    warmup_epochs: int = 5
    schedule_type: str = "cosine"
    schedule_steps: tuple[int, ...] = ()
    schedule_gamma: float = 0.1
    early_stop_epochs: int | None = None


class TheirConfig(StrictModel):
    """A whole configuration with defaults; the classes of the programs add their networks."""

    program: ClassVar[str]
    """Name of the program, as in `import-checkpoint --from`."""
    title: ClassVar[str]
    """Its name, as its authors write it."""
    resizing: ClassVar[tuple[str, ...]]
    """Values of `dataset_name` whose readers resize features, and learn one class if `num_classes` is 1."""
    weight_names: ClassVar[Sequence[tuple[str, str]]]
    """Patterns in the names of its weights, and what takes their place here; each is applied in turn."""

    init_rand_seed: int = 1234567891
    dataset_name: str = "epic"
    devices: Annotated[tuple[str, ...], Field(min_length=1)] = ("cuda:0",)
    train_split: tuple[str, ...] = ("training",)
    val_split: tuple[str, ...] = ("validation",)
    model_name: str
    output_folder: str | None = None
    dataset: DatasetConfig = DatasetConfig()
    loader: LoaderConfig = LoaderConfig()
    model: ModelConfig
    train_cfg: TrainConfig = TrainConfig()
    test_cfg: TestConfig = TestConfig()
    opt: OptimizerConfig = OptimizerConfig()

    @property
    def supported(self) -> dict[str, object]:
        """The only supported values of settings that affect the outputs and have no recipe key."""
        return {
            "dataset.downsample_rate": 1,
            "model.fpn_type": "identity",
            "model.scale_factor": 2,
            "model.embd_kernel_size": 3,
            "model.embd_with_ln": True,
            "model.fpn_with_ln": True,
            "model.head_with_ln": True,
            "model.fpn_dim": self.width,
            "test_cfg.nms_method": "soft",
        }

    def own_faults(self) -> Iterator[Fault]:
        """Yield the faults of the program's own settings."""
        raise NotImplementedError

    def own_fields(self) -> dict[str, dict[str, object]]:
        """Return the recipe's keys of the program's own settings, by table."""
        raise NotImplementedError

    @property
    def levels(self) -> int:
        """Pyramid levels."""
        return self.model.backbone_arch[2] + 1

    @property
    def input_dims(self) -> tuple[int, ...]:
        """Number of values of each stream with its own projection."""
        dims = self.dataset.input_dim
        return dims if isinstance(dims, tuple) else (dims,)

    @property
    def one_class(self) -> bool:
        """Whether every segment is of one class; only these readers ignore the classes."""
        return self.dataset_name in self.resizing and self.dataset.num_classes == 1

    @property
    def width(self) -> int:
        """Channels of the encoder."""
        width = self.model.embd_dim
        return sum(width) if isinstance(width, tuple) else width

    @property
    def range_overlap(self) -> float:
        """The factor by which a regression range starts below the end of the previous one."""
        ranges = self.model.regression_range
        return ranges[0][1] / ranges[1][0] if len(ranges) > 1 and ranges[1][0] > 0 else 1.0

    @property
    def resized(self) -> bool:
        """Whether the features of each video were resized to span the whole video."""
        return self.dataset_name in self.resizing and self.dataset.feat_stride <= 0

    @property
    def resize_length(self) -> int | None:
        """Number of features that each video is resized to; only some readers resize."""
        resizes = self.dataset_name in self.resizing and self.dataset.force_upsampling
        return self.dataset.max_seq_len if resizes else None


Config = TypeVar("Config", bound=TheirConfig)


def read_config(path: Path, program: type[Config]) -> Config:
    """Read a configuration file of a program.

    Raises
    ------
    MissingFileError
        If there is no such file.
    CheckpointError
        If it is not YAML, has a key that the program does not know, or a setting that asl-kit does not support; the
        message lists all faults.
    """
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: no such file") from None
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as fault:  # also numbers out of range, deep nesting
        raise CheckpointError(f"{path}: not a YAML file: {' '.join(str(fault).split())}") from fault
    hint = (
        f"the known keys are those of {program.title}'s libs/core/config.py; other programs may need another importer"
    )
    config = validate(program, fields, source=str(path), error=CheckpointError, hint=hint)
    faults = [error_line(place.split("."), text, found) for place, text, found in _unsupported(config)]
    if faults:
        raise CheckpointError(f"{path}: {list_errors(faults)}", hint="asl-kit cannot compute what this model does")
    return config


def _unsupported(config: TheirConfig) -> Iterator[Fault]:
    """Yield (key, what is supported, value found) for every setting that affects the outputs and has no recipe key."""
    for place, supported in config.supported.items():
        found: Any = config
        for part in place.split("."):
            found = getattr(found, part)
        if found != supported:
            yield place, f"only {supported!r} is supported", found
    if config.train_cfg.center_sample not in ("radius", "none"):
        yield "train_cfg.center_sample", "only 'radius' and 'none' are supported", config.train_cfg.center_sample
    data, model = config.dataset, config.model
    streams = model.embd_dim if isinstance(model.embd_dim, tuple) else None
    if isinstance(data.input_dim, tuple) != (streams is not None) or len(config.input_dims) != len(streams or (0,)):
        yield "model.embd_dim", f"expected one for each of dataset.input_dim = {data.input_dim}", model.embd_dim
    elif isinstance(data.input_dim, tuple) and len(data.input_dim) == 1:
        yield "dataset.input_dim", "expected a number, or a list of several", data.input_dim
    yield from config.own_faults()
    coarsest = 2 ** (config.levels - 1)
    if data.max_seq_len % coarsest:
        yield "dataset.max_seq_len", f"expected a multiple of {coarsest}, the last level's stride", data.max_seq_len
    if config.resize_length and not config.resized and data.num_frames != data.feat_stride:
        yield (
            "dataset.num_frames",
            f"with force_upsampling, only feat_stride = {data.feat_stride} is supported",
            data.num_frames,
        )
    first, overlap = model.regression_range[0][1], config.range_overlap
    expected = [
        (0.0 if level == 0 else first * 2 ** (level - 1) / overlap, first * 2**level) for level in range(config.levels)
    ]
    ranges = list(model.regression_range)
    endless = 2 * data.max_seq_len  # no point is farther from the end of a segment
    if (
        len(ranges) != config.levels
        or overlap < 1
        or ranges[-1][1] < endless
        or ranges[-1][0] != expected[-1][0]
        or ranges[:-1] != expected[:-1]
    ):
        text = f"expected {config.levels} ranges whose ends double, the last {endless} or more"
        yield "model.regression_range", text, [list(pair) for pair in ranges]


def to_recipe(config: TheirConfig, *, vocabulary: str | None, source: str) -> tuple[Recipe, list[str]]:
    """Return the equivalent recipe, and notes on settings that a recipe does not have."""
    data, model, train, test, opt = config.dataset, config.model, config.train_cfg, config.test_cfg, config.opt
    notes = []
    for place, supported, found in (
        ("opt.type", "AdamW", opt.type),
        ("opt.schedule_type", "cosine", opt.schedule_type),
        ("opt.early_stop_epochs", None, opt.early_stop_epochs),
    ):
        if found != supported:
            notes.append(f"{place}: {found!r} is not converted: a recipe has only {supported!r}")
    if train.loss_weight <= 0:
        notes.append(f"train_cfg.loss_weight: {train.loss_weight} (balanced) is not converted: the recipe has 1.0")
    if test.ext_score_file is not None:
        notes.append(
            f"test_cfg.ext_score_file: these scores name the classes: eval --video-scores {test.ext_score_file}"
        )
    warmup_epochs = opt.warmup_epochs if opt.warmup else 0
    fields: dict[str, Any] = {
        "data": {
            "vocabulary": vocabulary,
            "one_class": config.one_class,
            "sequence_length": data.max_seq_len,
            "max_sequence_length": data.max_seq_len,
            "crop_ratio": data.crop_ratio or (1.0, 1.0),
            "min_segment_share": data.trunc_thresh,
            "resize_length": config.resize_length,
            "standardize": False,
        },
        "model": {
            "width": config.width,
            "stream_widths": model.embd_dim if isinstance(model.embd_dim, tuple) else None,
            "projection_layers": model.backbone_arch[0],
            "stem_blocks": model.backbone_arch[1],
            "pyramid_levels": config.levels,
            "first_regression_range": model.regression_range[0][1],
            "regression_overlap": config.range_overlap,
            "head_layers": model.head_num_layers,
            "position_embedding": model.use_abs_pe,
            "padding": "full",
            "drop_path": train.droppath,
            "class_prior": train.cls_prior_prob,
        },
        "loss": {
            "center_radius": train.center_sample_radius if train.center_sample == "radius" else "segment",
            "label_smoothing": train.label_smoothing,
            "localization_weight": train.loss_weight if train.loss_weight > 0 else 1.0,
            "initial_positives": train.init_loss_norm,
        },
        "sensitivity": {"class_level": False, "instance_level": False},
        "contrastive": {"enabled": False},
        "optimizer": {
            "learning_rate": opt.learning_rate * len(config.devices),  # as in their train.py
            "weight_decay": opt.weight_decay,
            "batch_size": config.loader.batch_size,
            "epochs": opt.epochs + warmup_epochs,
            "warmup_epochs": warmup_epochs,
            "gradient_clip": max(train.clip_grad_l2norm, 0),
        },
        "inference": {
            "min_score": test.min_score,
            "candidate_min_score": None if test.pre_nms_thresh == test.min_score else test.pre_nms_thresh,
            "candidates_per_level": test.pre_nms_topk,
            "max_detections": test.max_seg_num,
            "nms_sigma": test.nms_sigma,
            "per_class": test.multiclass_nms,
            # They vote only if they suppress across classes.
            "voting_tiou": 0.0 if test.multiclass_nms else max(test.voting_thresh, 0),
            "min_length_steps": test.duration_thresh,
            # They read videos whole and fail on longer ones.
            "window_length": int(data.max_seq_len * model.max_buffer_len_factor),
        },
        "run": {"seed": config.init_rand_seed % 2**31, "precision": "float32"},
    }
    for table, own in config.own_fields().items():
        fields[table] |= own
    return validate(Recipe, fields, source=f"{source}: as a recipe", error=CheckpointError), notes
