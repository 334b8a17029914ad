"""TriDet's configuration files.

The fields, their names and their defaults are those of https://github.com/dingfengshi/TriDet at 764b816.
"""

from __future__ import annotations

from collections.abc import Iterator

from asl_kit.checkpoint_import import their_config
from asl_kit.recipes.schema import SGP_GROUPS


class DatasetConfig(their_config.DatasetConfig):
    """Table `dataset`."""

    input_dim: their_config.Dimension = 2304
    backbone_type: str | None = None


class ModelConfig(their_config.ModelConfig):
    """Table `model`."""

    backbone_type: str = "SGP"
    embd_dim: int = 512
    n_sgp_win_size: int | tuple[int, ...] = -1
    sgp_mlp_dim: int
    k: float = 1.5
    init_conv_vars: float = 0
    downsample_type: str = "max"
    use_trident_head: bool = True
    num_bins: int = 16
    boudary_kernel_size: int = 3
    iou_weight_power: float = 1.0
    input_noise: float = 0


class OptimizerConfig(their_config.OptimizerConfig):
    """Table `opt`."""

    eta_min: float = 1e-8


class TriDetConfig(their_config.TheirConfig):
    """A whole configuration with defaults."""

    program = "tridet"
    title = "TriDet"
    resizing = ("anet", "hacs")
    weight_names = (
        (r"\.ln\.", ".sgp_norm."),
        (r"\.gn\.", ".feedforward_norm."),
        (r"\.psi\.", ".window_gate."),
        (r"\.fc\.", ".instant."),
        (r"\.global_fc\.", ".instant_gate."),
        (r"\.convw\.", ".window."),
        (r"\.convkw\.", ".wide_window."),
        (r"\.mlp\.", ".feedforward."),
        (r"\.drop_path_out\.", ".sgp_path."),
        (r"\.drop_path_mlp\.", ".feedforward_path."),
        (r"^(start|end)_head\.cls_head\.", r"localization_head.\1.last."),
        (r"^(start|end)_head\.head\.", r"localization_head.\1.hidden."),
        (r"^(start|end)_head\.norm\.", r"localization_head.\1.norms."),
    )

    model_name: str = "TriDet"
    dataset: DatasetConfig = DatasetConfig()
    model: ModelConfig
    opt: OptimizerConfig = OptimizerConfig()

    @property
    def windows(self) -> tuple[int, ...]:
        """Window w of each level."""
        window = self.model.n_sgp_win_size
        return window if isinstance(window, tuple) else (window,) * self.levels

    @property
    def supported(self) -> dict[str, object]:
        """The only supported values of settings that affect the outputs and have no recipe key."""
        return super().supported | {
            "model_name": "TriDet",
            "model.backbone_type": "SGP",
            "model.downsample_type": "max",
        }

    def own_faults(self) -> Iterator[their_config.Fault]:
        """Yield the faults of the program's own settings."""
        if len(self.windows) != self.levels or any(window < 1 or window % 2 == 0 for window in self.windows):
            yield "model.n_sgp_win_size", f"expected odd numbers, one for each of {self.levels} levels", self.windows
        if self.width % SGP_GROUPS:
            yield "model.embd_dim", f"expected a multiple of {SGP_GROUPS}", self.width

    def own_fields(self) -> dict[str, dict[str, object]]:
        """Return the recipe's keys of the program's own settings, by table."""
        model, opt, windows = self.model, self.opt, self.windows
        return {
            "model": {
                "encoder": "sgp",
                "sgp_window": windows[0] if len(set(windows)) == 1 else windows,
                "sgp_window_factor": model.k,
                "sgp_mlp_width": model.sgp_mlp_dim,
                "sgp_initial_deviation": model.init_conv_vars,
                "head": "trident" if model.use_trident_head else "offsets",
                "head_width": None if model.head_dim == self.width else model.head_dim,
                "head_kernel": model.head_kernel_size,
                "trident_bins": model.num_bins,
                "trident_kernel": model.boudary_kernel_size,
                "input_noise": model.input_noise,
            },
            "loss": {"tiou_weight_power": model.iou_weight_power if model.use_trident_head else 0.0},
            "optimizer": {"final_learning_rate_share": opt.eta_min / opt.learning_rate / len(self.devices)},
            "inference": {"voting_weight": "score"},
        }
