from __future__ import annotations

from pathlib import Path

import pytest

from asl_kit.errors import UsageError
from asl_kit.feature_import.presets import get_preset, list_presets
from asl_kit.feature_import.timing import Timing
from asl_kit.manifests import files


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_makes_a_grid(name: str) -> None:
    features = get_preset(name)
    timing = Timing.of(features)
    grid = timing.grid(features.resized_to or 100, video_fps=30.0, duration_s=100.0)
    if features.resized_to:
        assert (grid.start_s, grid.end_s) == (pytest.approx(0, abs=1e-9), pytest.approx(100.0))
    else:
        fps = features.fps or 30.0
        assert grid.step_s == pytest.approx(features.stride_frames / fps)
        assert grid.first_center_s == pytest.approx(features.window_frames / 2 / fps + features.offset_s)
    spec = timing.spec(dimension=features.dimensions, weights=name)
    assert (spec.backbone, spec.weights, spec.feature_dim) == ("imported", name, features.dimensions)


def test_presets_come_from_the_manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (files.manifest_paths()["thumos14"]).read_text(encoding="utf-8")
    table = '\n[features.test-set]\ntitle = "T"\nsource = "S"\ndimensions = 8\nwindow_frames = 16\nstride_frames = 4\n'
    (tmp_path / "thumos14.toml").write_text(text + table, encoding="utf-8")
    monkeypatch.setattr(files, "FOLDER", tmp_path)
    assert list_presets()["thumos14/test-set"].dimensions == 8
    with pytest.raises(UsageError, match="no preset named 'thumos14/testset'") as fault:
        get_preset("thumos14/testset")
    assert "Did you mean thumos14/test-set" in str(fault.value.hint)
