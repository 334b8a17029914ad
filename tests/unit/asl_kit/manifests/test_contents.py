"""What the manifests state: facts that no converter would notice if they were wrong."""

import re

import pytest

from asl_kit.grid import FeatureGrid
from asl_kit.manifests.files import load_manifest, manifest_paths

VIDEO_S = 60.0
USUAL_FPS = 30.0
FEATURES = [(name, features) for name in manifest_paths() for features in load_manifest(name).features]
FEATURE_IDS = [f"{name}/{features}" for name, features in FEATURES]


def grid_of(features, fps=USUAL_FPS):
    """Return the grid of a video of a minute, as `FeatureSet` describes it."""
    fps = features.fps or fps
    if features.resized_to:
        step_s = VIDEO_S / features.resized_to
        return FeatureGrid(step_s / 2, step_s, features.resized_to)
    length = int(VIDEO_S * fps - features.window_frames) // features.stride_frames + 1
    first_center_s = features.offset_s + features.window_frames / 2 / fps
    return FeatureGrid(first_center_s, features.stride_frames / fps, length)


@pytest.mark.parametrize("name", manifest_paths())
def test_class_names_are_unique_and_clean(name):
    for classes in load_manifest(name).vocabularies.values():
        assert len(set(classes)) == len(classes)
        assert all(label == label.strip() and label for label in classes)


@pytest.mark.parametrize("name", manifest_paths())
def test_licence_home_and_evaluated_split_are_stated(name):
    manifest = load_manifest(name)
    assert manifest.home.startswith("http")
    assert len(manifest.licence) > 2
    assert manifest.expected[manifest.splits.evaluate].videos > 0


@pytest.mark.parametrize(("name", "features"), FEATURES, ids=FEATURE_IDS)
def test_features_of_a_minute_lie_within_it(name, features):
    stated = load_manifest(name).features[features]
    grid = grid_of(stated)
    reach_s = max(stated.window_frames / (stated.fps or USUAL_FPS), grid.step_s)
    assert grid.length > 0
    assert -reach_s <= grid.start_s
    assert grid.end_s <= VIDEO_S + reach_s
    assert 0 <= grid.first_center_s <= grid.to_seconds(grid.length - 1) <= VIDEO_S


@pytest.mark.parametrize(("name", "features"), FEATURES, ids=FEATURE_IDS)
def test_feature_sets_name_their_source(name, features):
    stated = load_manifest(name).features[features]
    assert re.search(r"https?://|README|\b[0-9a-f]{7}\b", stated.source), "neither a page nor a commit"
    assert stated.title


# ActionFormer at 61ea7eb, libs/datasets/thumos14.py, anet.py: index = (seconds * fps - num_frames / 2) / feat_stride.
# OpenTAD at 3dd7b03, convert_to_seconds: seconds = (index * snippet_stride + offset_frames) / fps.
CENTERS = {
    "ActionFormer, 30 fps": ("thumos14", "i3d-actionformer", 30.0, 10, (10 * 4 + 8) / 30),
    "ActionFormer, 25 fps": ("thumos14", "i3d-actionformer", 25.0, 10, (10 * 4 + 8) / 25),
    "OpenTAD, TSP": ("activitynet13", "tsp", None, 3, (3 * 16 + 8) / 15),
    "ActionFormer, I3D": ("activitynet13", "i3d-actionformer", None, 3, (3 * 16 + 8) / 25),
    "OpenTAD, SlowFast": ("hacs", "slowfast-tcanet", None, 5, (5 * 8 + 16) / 15),
    "OpenTAD, VideoMAE": ("fineaction", "videomae-h", None, 2, (2 * 16 + 8) / 30),
    "BSN, resized": ("activitynet13", "tsn-bsn", 30.0, 99, 99.5 * VIDEO_S / 100),
}


@pytest.mark.parametrize(("name", "features", "fps", "index", "seconds"), CENTERS.values(), ids=CENTERS)
def test_centers_are_those_of_the_code_that_reads_the_features(name, features, fps, index, seconds):
    grid = grid_of(load_manifest(name).features[features], fps)
    assert grid.to_seconds(index) == pytest.approx(seconds)


def test_activitynet_releases_and_hacs_share_names():
    old, new, hacs = (load_manifest(name).classes for name in ("activitynet12", "activitynet13", "hacs"))
    assert (len(old), len(new)) == (100, 200)
    assert set(old) - set(new) == {"Playing volleyball"}
    assert hacs == new
    assert old == sorted(old)
    assert new == sorted(new)


def test_counts_as_published():
    counts = {
        name: {split: expected.videos for split, expected in load_manifest(name).expected.items()}
        for name in ("activitynet12", "hacs", "fineaction")
    }
    assert counts == {
        "activitynet12": {"training": 4819, "validation": 2383, "testing": 2480},
        "hacs": {"training": 37613, "validation": 5981, "testing": 5987},
        "fineaction": {"training": 8440, "validation": 4174, "testing": 4118},
    }
    assert load_manifest("fineaction").expected_classes == {"action": 106}
