"""Presets: what they state is what the manifests say, and is not to be said twice."""

from __future__ import annotations

from typing import Any

import pytest

from asl_extract.backbones import get_backbone
from asl_extract.flow.preparation import FLOW_METHODS
from asl_extract.presets import preset_settings
from asl_extract.settings import ExtractionSettings
from asl_kit.errors import UsageError
from asl_kit.feature_import import list_presets

EXTRACTED = {name: preset for name, preset in list_presets().items() if preset.backbones}

# Ego4D's ego4d/features/configs/slowfast_r101_8x8.yaml; ActionFormer's README (THUMOS14: 16 frames, every 4, own rate;
# ActivityNet: 16 frames of 25 a second); TSP's extract_features/opts.py (16 frames of 15 a second, no overlap).
STATED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "Ego4D": (
        "ego4d-mq/slowfast",
        {},
        {"backbone": "slowfast_r101", "window_frames": 32, "stride_frames": 16, "fps": 30.0},
    ),
    "TSP": (
        "activitynet13/tsp",
        {},
        {"backbone": "r2plus1d_34_tsp", "window_frames": 16, "stride_frames": 16, "fps": 15.0},
    ),
    "VideoMAE V2": (  # extract_tad_feature.py of VideoMAEv2 at 29eab1e
        "thumos14/videomaev2-g",
        {},
        {"backbone": "videomaev2_g", "window_frames": 16, "stride_frames": 4, "fps": None},
    ),
    "InternVideo2": (  # w16_s8 in the files' names
        "hacs/internvideo2-6b",
        {},
        {"backbone": "internvideo2_6b", "window_frames": 16, "stride_frames": 8, "fps": 30.0},
    ),
    "EgoVLP": (  # 1.87 features a second: README.md of EgoVLP at 928406c
        "ego4d-mq/egovlp-actionformer",
        {},
        {"backbone": "egovlp", "window_frames": 16, "stride_frames": 16, "fps": 30.0},
    ),
    "Omnivore": (  # Ego4D's ego4d/features/configs/omnivore_video.yaml at a44f40b
        "ego4d-mq/omnivore-actionformer",
        {},
        {"backbone": "omnivore_swin_l", "window_frames": 32, "stride_frames": 16, "fps": 30.0},
    ),
    "RGB stream": (
        "thumos14/i3d-actionformer",
        {"backbone": "i3d_rgb"},
        {"backbone": "i3d_rgb", "window_frames": 16, "stride_frames": 4, "fps": None},
    ),
    "flow stream": (
        "thumos14/i3d-actionformer",
        {"backbone": "i3d_flow"},
        {"backbone": "i3d_flow", "window_frames": 16, "stride_frames": 4, "fps": None, "flow": "tvl1"},
    ),
    "25 a second": (
        "activitynet13/i3d-actionformer",
        {"backbone": "i3d_rgb"},
        {"backbone": "i3d_rgb", "window_frames": 16, "stride_frames": 16, "fps": 25.0},
    ),
}


@pytest.mark.parametrize(("name", "given", "settings"), STATED.values(), ids=STATED)
def test_settings(name: str, given: dict[str, Any], settings: dict[str, Any]) -> None:
    stated = {field: value for field, value in settings.items() if field not in given}
    assert preset_settings(name, backbone=given.get("backbone")) == stated


REFUSED = {
    "unknown": ("ego4d-mq/slowfst", {}, "no preset named 'ego4d-mq/slowfst'", "Did you mean ego4d-mq/slowfast "),
    "no backbone": (
        "charades/i3d-rgb-opentad",
        {},
        r"--preset charades/i3d-rgb-opentad: asl-kit cannot extract these features \(I3D fine-tuned on Charades",
        "asl-kit import-features DIR -o STORE --preset charades/i3d-rgb-opentad",
    ),
    "stated": (
        "activitynet13/tsp",
        {"backbone": "x3d_xs", "window_frames": 16, "fps": 15.0},
        "--preset activitynet13/tsp states that already: leave out --backbone, --window, --fps",
        "asl-kit extract --list-presets",
    ),
    "rate stated as each video's own": (
        "thumos14/i3d-actionformer",
        {"backbone": "i3d_rgb", "fps": 30.0},
        "states that already: leave out --fps",
        "no preset",
    ),
    "flow stated": (
        "thumos14/i3d-actionformer",
        {"backbone": "i3d_flow", "flow": "raft_large"},
        "states that already: leave out --flow",
        "no preset",
    ),
    "no stream": (
        "thumos14/i3d-actionformer",
        {},
        "has several streams, each with its own store: i3d_rgb and i3d_flow",
        "choose one with --backbone",
    ),
    "other stream": (
        "thumos14/i3d-actionformer",
        {"backbone": "x3d_xs"},
        "has streams for i3d_rgb and i3d_flow, not for x3d_xs",
        None,
    ),
}


@pytest.mark.parametrize(("name", "given", "message", "hint"), REFUSED.values(), ids=REFUSED)
def test_refused(name: str, given: dict[str, Any], message: str, hint: str | None) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        ExtractionSettings(preset=name, **given).resolve(precision="float32")
    assert hint in caught.value.hint if hint and caught.value.hint else caught.value.hint == hint


@pytest.mark.parametrize("name", EXTRACTED)
def test_backbones_make_what_the_preset_states(name: str) -> None:
    preset = EXTRACTED[name]
    backbones = [get_backbone(backbone) for backbone in preset.backbones]
    assert sum(backbone.feature_dim for backbone in backbones) == preset.dimensions
    assert all(backbone.whole_window or backbone.clip_frames <= preset.window_frames for backbone in backbones)
    assert preset.resized_to is None
    # Windows cannot start before the video does; those of a published set may.
    assert preset.offset_s <= 0
    assert bool(preset.offset_s) == any("first window starts with the video" in n for n in preset.extraction_notes)
    assert bool(preset.flow) == any(backbone.frames == "flow" for backbone in backbones)
    assert not preset.flow or preset.flow in FLOW_METHODS
    assert preset.extraction_notes


def test_only_presets_with_a_backbone_say_how_it_extracts() -> None:
    assert len(EXTRACTED) == 25
    assert not any(
        preset.flow or preset.extraction_notes for name, preset in list_presets().items() if name not in EXTRACTED
    )
