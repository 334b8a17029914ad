"""ActionFormer's configuration files.

The fields, their names and their defaults are those of https://github.com/happyharrycn/actionformer_release at 61ea7eb.
"""

from __future__ import annotations

from collections.abc import Iterator

from asl_kit.checkpoint_import import their_config


class ModelConfig(their_config.ModelConfig):
    """Table `model`."""

    backbone_type: str = "convTransformer"
    n_head: int = 4
    n_mha_win_size: int | tuple[int, ...] = -1
    fpn_start_level: int = 0
    use_rel_pe: bool = False


class ActionFormerConfig(their_config.TheirConfig):
    """A whole configuration with defaults."""

    program = "actionformer"
    title = "ActionFormer"
    resizing = ("anet",)
    weight_names = (
        (r"^backbone\.proj\.", "streams."),
        (r"\.ln1\.", ".attention_norm."),
        (r"\.ln2\.", ".mlp_norm."),
        (r"\.attn\.proj\.", ".attention.output."),
        (r"\.attn\.", ".attention."),
        (r"\.drop_path_attn\.", ".attention_path."),
        (r"\.drop_path_mlp\.", ".mlp_path."),
    )

    model_name: str = "LocPointTransformer"
    model: ModelConfig = ModelConfig()

    @property
    def windows(self) -> tuple[int, ...]:
        """Attention window of each level in features; 0: all. ActionFormer widens an even window by one feature."""
        window = self.model.n_mha_win_size
        given = window if isinstance(window, tuple) else (window,) * self.levels
        return tuple(size // 2 * 2 + 1 if size > 1 else 0 for size in given)

    @property
    def supported(self) -> dict[str, object]:
        """The only supported values of settings that affect the outputs and have no recipe key."""
        return super().supported | {
            "model_name": "LocPointTransformer",
            "model.backbone_type": "convTransformer",
            "model.head_kernel_size": 3,
            "model.fpn_start_level": 0,
            "model.use_rel_pe": False,
            "model.head_dim": self.width,
        }

    def own_faults(self) -> Iterator[their_config.Fault]:
        """Yield the faults of the program's own settings."""
        if len(self.windows) != self.levels:
            yield "model.n_mha_win_size", f"expected one for each of {self.levels} levels", self.model.n_mha_win_size

    def own_fields(self) -> dict[str, dict[str, object]]:
        """Return the recipe's keys of the program's own settings, by table."""
        windows = self.windows
        return {
            "model": {
                "attention_heads": self.model.n_head,
                "attention_window": windows[0] if len(set(windows)) == 1 else windows,
                "dropout": self.train_cfg.dropout,
            }
        }
