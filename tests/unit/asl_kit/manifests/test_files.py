import pytest

from asl_kit.errors import ManifestError
from asl_kit.manifests import files
from asl_kit.manifests.files import find_manifest, load_manifest, manifest_paths, read_manifest


def test_every_manifest_loads():
    assert {path.stem for path in files.FOLDER.rglob("*.toml")} == set(manifest_paths())
    for name in manifest_paths():
        assert load_manifest(name).name == name


def test_thumos14_facts():
    thumos = load_manifest("thumos14")
    assert (len(thumos.classes), thumos.classes.index("CliffDiving"), thumos.classes.index("Diving")) == (20, 4, 7)
    assert thumos.classes == sorted(thumos.classes)
    assert thumos.tiou_thresholds == (0.3, 0.4, 0.5, 0.6, 0.7)
    assert (thumos.expected["validation"].videos, thumos.expected["validation"].segments) == (200, 3007)
    assert (thumos.expected["test"].videos, thumos.expected["test"].segments) == (213, 3358)
    assert [item.video[-7:] for item in thumos.exclusions] == ["0001292", "0000270", "0001496"]


def test_activitynet_facts():
    activitynet = load_manifest("activitynet")
    assert activitynet.name == "activitynet13"
    assert len(set(activitynet.classes)) == 200
    assert [activitynet.expected[split].videos for split in ("training", "validation", "testing")] == [
        10024,
        4926,
        5044,
    ]
    assert (activitynet.tiou_thresholds[0], activitynet.tiou_thresholds[-1], len(activitynet.tiou_thresholds)) == (
        0.5,
        0.95,
        10,
    )


def test_unknown_name_lists_those_there_are():
    assert find_manifest("thumos") is None
    with pytest.raises(ManifestError, match=r"no manifest named 'thumos'; there are: .*thumos14") as caught:
        load_manifest("thumos")
    assert "thumos14" in caught.value.hint


GOOD = """
name = "toy"
title = "Toy"
home = "https://example.org"
licence = "CC0"
protocol = "activitynet"
tiou_thresholds = [0.5]
[splits]
train = "train"
evaluate = "test"
[vocabularies]
action = ["a", "b"]
[expected.train]
videos = 1
[expected.test]
videos = 1
"""


def test_all_faults_at_once(tmp_path):
    path = tmp_path / "toy.toml"
    path.write_text(GOOD.replace('licence = "CC0"', 'license = "CC0"').replace("[0.5]", "[1.5]"))
    with pytest.raises(ManifestError, match="3 errors") as caught:
        read_manifest(path)
    for text in ("licence: missing", "license: unknown key", "tiou_thresholds.0"):
        assert text in caught.value.message


CONTRADICTIONS = {
    "class twice": ('"a", "b"', '"a", "a"', r"vocabularies\.action: a class name appears twice, found 'a'"),
    "unknown split": ('evaluate = "test"', 'evaluate = "val"', r"splits\.evaluate: must be a split .*found 'val'"),
    "falling thresholds": (
        "[0.5]",
        "[0.7, 0.5]",
        r"tiou_thresholds: must be one or more increasing values, found \[0\.7, 0\.5\]",
    ),
    "other name": ('name = "toy"', 'name = "toys"', r"name: must be 'toy'"),
    "subset of no split": (
        "[splits]",
        '[subsets]\ntraining = "val"\n[splits]',
        r"subsets\.training: must be one of train, test",
    ),
    "not TOML": ("[splits]", "[splits", "not a TOML file"),
    "deep TOML": ("[splits]", "x = " + "[" * 10_000 + "\n[splits]", "not a TOML file: maximum recursion"),
}


@pytest.mark.parametrize(("old", "new", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradiction_is_named(tmp_path, old, new, message):
    path = tmp_path / "toy.toml"
    path.write_text(GOOD)
    assert read_manifest(path).classes == ["a", "b"]
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ManifestError, match=message):
        read_manifest(path)
