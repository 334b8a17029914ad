"""What an import refuses of TriDet's settings; the numbers are in tests/reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from asl_kit.checkpoint_import.their_config import read_config
from asl_kit.checkpoint_import.tridet_config import TriDetConfig
from asl_kit.errors import CheckpointError

REFUSED = {
    "backbone": ("model.backbone_type", "conv", "only 'SGP' is supported, found 'conv'"),
    "downsampling": ("model.downsample_type", "avg", "only 'max' is supported, found 'avg'"),
    "even window": ("model.n_sgp_win_size", [1, 2], r"expected odd numbers, one for each of 2 levels, found \(1, 2\)"),
    "windows": ("model.n_sgp_win_size", [1, 3, 5], "expected odd numbers, one for each of 2 levels"),
    "width": ("model.embd_dim", 24, "expected a multiple of 16, found 24"),
    "learning rate": ("opt.learning_rate", 0, "Input should be greater than 0, found 0"),
    "devices": ("devices", [], "at least 1 item"),
}


@pytest.mark.parametrize(("key", "value", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_supported_is_named(tmp_path: Path, key: str, value: object, message: str) -> None:
    ranges = [[0, 4], [4, 10000]]
    model = {"backbone_arch": [1, 0, 1], "regression_range": ranges, "n_sgp_win_size": 1, "sgp_mlp_dim": 8}
    fields: dict[str, Any] = {"model": model}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    read_config(path, TriDetConfig)  # as it is, it is taken
    *table, name = key.split(".")
    (fields.setdefault(table[0], {}) if table else fields)[name] = value
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(CheckpointError, match=f"{key}: .*{message}"):
        read_config(path, TriDetConfig)
