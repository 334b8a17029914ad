from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from helpers.support import make_annotation_set
from rich.console import Console

from asl_evaluate.coverage import GridCoverage
from asl_evaluate.options import ScoringOptions
from asl_evaluate.protocols import PROTOCOLS, find_protocol
from asl_evaluate.scoring import evaluate_predictions, score, write_results
from asl_evaluate.terminal_tables import print_scores
from asl_evaluate.tiou import parse_tiou
from asl_kit import __version__
from asl_kit.annotations import AnnotationSet, write_annotations
from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.errors import AnnotationError, PredictionError, UsageError
from asl_kit.grid import FeatureGrid
from asl_kit.manifests import schema
from asl_kit.manifests.files import default_tiou_thresholds, load_manifest, manifest_paths

CLASSES = ["jump", "run", "swim", "throw"]
VIDEOS: dict[str, Any] = {
    "t1": ("test", [(0.0, 10.0, "jump"), (20.0, 30.0, "run")]),
    "t2": ("test", [(0.0, 10.0, "jump"), (0.0, 10.0, "jump"), (5.0, 5.0005, "swim")]),
    "t3": ("test", []),
    "t4": ("test", None),
    "t5": ("test", [(40.0, 50.0, "run")]),
    "l1": ("training", [(0.0, 10.0, "throw")]),
}
PREDICTIONS = Detections.from_lists(
    [
        ("t1", 0.0, 10.0, "jump", 0.9),
        ("t1", 20.0, 26.0, "run", 0.8),  # tIoU 0.6
        ("t2", 0.0, 10.0, "jump", 0.7),
        ("t3", 0.0, 10.0, "run", 0.9),
        ("t4", 0.0, 10.0, "run", 0.9),
        ("l1", 0.0, 10.0, "throw", 0.9),
        ("elsewhere", 0.0, 10.0, "run", 0.9),
    ],
)


@pytest.fixture
def annotations() -> AnnotationSet:
    return make_annotation_set(VIDEOS, CLASSES)


def test_scores_worked_out_by_hand(annotations: AnnotationSet) -> None:
    grid = GridCoverage((), (), ())
    scores = score(PREDICTIONS, annotations, ScoringOptions(split="test", tiou=(0.5, 0.7)), grid=grid)
    # jump: 2 of 3 found, none wrong. run: a miss, then 1 of 2 at 0.5 and none at 0.7. swim: never predicted.
    assert scores.per_class["jump"].average_precision == pytest.approx((2 / 3, 2 / 3))
    assert scores.per_class["run"].average_precision == pytest.approx((1 / 4, 0))
    assert scores.per_class["swim"].average_precision == (0, 0)
    assert list(scores.per_class) == ["jump", "run", "swim"]
    assert scores.mean_average_precision == pytest.approx(((2 / 3 + 1 / 4) / 3, 2 / 9))
    assert scores.average_map == pytest.approx((11 / 36 + 2 / 9) / 2)
    # t1 both, t2 both duplicates by one prediction; the point and t5 not
    assert scores.recall["recall@100"].per_tiou == pytest.approx((4 / 6, 3 / 6))
    coverage = scores.coverage
    assert (coverage.videos, coverage.segments, coverage.predictions) == (4, 6, 4)
    assert coverage.predictions_outside_split == 3
    assert coverage.videos_not_annotated == ("t4",)
    assert coverage.videos_never_predicted == ("t5",)
    assert coverage.classes_never_predicted == ("swim",)
    assert coverage.classes_without_ground_truth == ("throw",)
    assert (coverage.duplicates, coverage.segments_dropped, coverage.grid) == ("keep", 0, grid)


def test_duplicates_and_very_short_segments_are_dropped(annotations: AnnotationSet) -> None:
    scores = score(PREDICTIONS, annotations, ScoringOptions(split="test", tiou=(0.5,), duplicates="drop"))
    assert scores.per_class["jump"].average_precision == (1.0,)
    assert list(scores.per_class) == ["jump", "run"]
    assert (scores.coverage.segments, scores.coverage.segments_dropped) == (4, 2)
    assert scores.coverage.classes_without_ground_truth == ("swim", "throw")


def test_json_has_the_keys_of_the_format(annotations: AnnotationSet) -> None:
    document = score(PREDICTIONS, annotations, ScoringOptions(split="test", tiou=(0.5, 0.7))).to_json()
    keys = [
        "protocol",
        "package",
        "split",
        "vocabulary",
        "tiou",
        "mAP",
        "average_mAP",
        "per_class",
        "recall",
        "figures",
        "coverage",
    ]
    assert list(document) == keys
    assert (document["protocol"], document["split"], document["tiou"]) == ("activitynet", "test", [0.5, 0.7])
    assert document["package"] == f"asl-kit {__version__}"
    assert document["per_class"]["run"] == {
        "AP": pytest.approx([0.25, 0]),
        "average_AP": pytest.approx(0.125),
        "segments": 2,
        "predictions": 2,
    }
    expected = {"mean": pytest.approx(7 / 12), "per_tiou": pytest.approx([2 / 3, 1 / 2])}
    assert document["recall"] == {"recall@100": expected}
    assert document["coverage"]["videos_never_predicted"] == ["t5"]
    assert document["coverage"]["videos_without_features"] is None
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_labels_of_one_vocabulary_among_several() -> None:
    both = {"start": 0.0, "end": 10.0, "labels": {"verb": "wash", "noun": "cup"}}
    noun = {"start": 20.0, "end": 30.0, "labels": {"noun": "pan"}}
    video = {"split": "test", "duration": 60.0, "segments": [both, noun]}
    vocabularies = {"verb": ["wash", "dry"], "noun": ["cup", "pan"]}
    annotations = make_annotation_set({}, [], vocabularies=vocabularies, videos={"v": video})
    predictions = Detections.from_lists([("v", 0, 10, "wash", 0.5)])

    scores = score(predictions, annotations, ScoringOptions(split="test", tiou=(0.5,), vocabulary="verb"))
    assert scores.mean_average_precision == (1.0,)
    assert scores.coverage.segments_without_label == 1
    with pytest.raises(AnnotationError, match=r"several vocabularies \((noun, verb|verb, noun)\)"):
        score(predictions, annotations, ScoringOptions(split="test", tiou=(0.5,)))
    with pytest.raises(
        PredictionError, match="video 'v': class 'wash' is not among the 2 of vocabulary 'noun': cup, pan"
    ):
        score(predictions, annotations, ScoringOptions(split="test", tiou=(0.5,), vocabulary="noun"))


def test_unknown_class_is_refused_with_the_nearest(annotations: AnnotationSet) -> None:
    predictions = Detections.from_lists([("t1", 0, 1, "jumps", 0.5)])
    with pytest.raises(PredictionError, match=r"class 'jumps' is not among the 4 .*: jump, run, swim, throw") as caught:
        score(predictions, annotations, ScoringOptions(split="test", tiou=(0.5,)))
    assert caught.value.hint == "did you mean 'jump'?"


def test_unused_class_names_do_not_matter(annotations: AnnotationSet) -> None:
    predictions = Detections.from_lists([("t1", 0, 10, "jump", 0.5)], class_names=["something", "jump"])
    assert score(predictions, annotations, ScoringOptions(split="test", tiou=(0.5,))).per_class["jump"].predictions == 1


def test_a_split_without_ground_truth_cannot_be_scored() -> None:
    annotations = make_annotation_set({"v": ("test", []), "w": ("test", None)}, CLASSES)
    with pytest.raises(AnnotationError, match="split 'test' has no ground truth in vocabulary 'action'") as caught:
        score(PREDICTIONS, annotations, ScoringOptions(split="test", tiou=(0.5,)))
    assert caught.value.hint is not None
    assert "2 videos, 1 of them annotated" in caught.value.hint


def test_unknown_protocol(annotations: AnnotationSet) -> None:
    with pytest.raises(UsageError, match="unknown protocol 'voc', expected one of: activitynet"):
        score(PREDICTIONS, annotations, ScoringOptions(split="test", tiou=(0.5,), protocol="voc"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("0.3:0.7:0.1", (0.3, 0.4, 0.5, 0.6, 0.7), id="THUMOS14"),
        pytest.param("0.5:0.95:0.05", (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95), id="ActivityNet"),
        pytest.param(" 0.5 : 0.5 : 0.1 ", (0.5,), id="one"),
        pytest.param("1:1:1", (1.0,), id="the highest"),
        pytest.param("0.25:1:0.25", (0.25, 0.5, 0.75, 1.0), id="up to 1"),
    ],
)
def test_parse_tiou(text: str, expected: tuple[float, ...]) -> None:
    assert parse_tiou(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "expected LO:HI:STEP, found ''", id="empty"),
        pytest.param("0.5", "expected LO:HI:STEP, found '0.5'", id="one number"),
        pytest.param("0.1:0.5:0.1:0.1", "expected LO:HI:STEP", id="four numbers"),
        pytest.param("a:b:c", "expected LO:HI:STEP", id="letters"),
        pytest.param("0:0.5:0.1", "0 < LO <= HI <= 1", id="from 0"),
        pytest.param("0.5:1.1:0.1", "0 < LO <= HI <= 1", id="above 1"),
        pytest.param("0.7:0.3:0.1", "0 < LO <= HI <= 1", id="falling"),
        pytest.param("0.3:0.7:0", "STEP > 0", id="no step"),
        pytest.param("0.3:0.7:-0.1", "STEP > 0", id="step below 0"),
        pytest.param("nan:0.7:0.1", "0 < LO <= HI <= 1", id="not a number"),
        pytest.param("0.1:0.7:Infinity", "0 < LO <= HI <= 1", id="infinite step"),
        pytest.param("0.3:0.75:0.1", "no whole number of steps of 0.1 leads from 0.3 to 0.75", id="end between steps"),
        pytest.param("0.1:0.9:0.000000001", "more than 1000 thresholds", id="too many"),
        pytest.param("0.1:0.9:1e-999999", "more than 1000 thresholds", id="far too many"),
    ],
)
def test_parse_tiou_refuses(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_tiou(text)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        pytest.param("thumos14", (0.3, 0.4, 0.5, 0.6, 0.7), id="thumos14"),
        pytest.param("activitynet13", parse_tiou("0.5:0.95:0.05"), id="activitynet13"),
        pytest.param("my own", (0.3, 0.4, 0.5, 0.6, 0.7), id="unknown"),
    ],
)
def test_default_tiou(dataset: str, expected: tuple[float, ...]) -> None:
    assert ScoringOptions().tiou_thresholds(dataset) == expected


@pytest.mark.parametrize(
    ("dataset", "splits", "asked", "expected"),
    [
        pytest.param("own", ["train", "test"], None, "test", id="test"),
        pytest.param("own", ["train", "val"], None, "val", id="val"),
        pytest.param("own", ["train", "val"], "train", "train", id="asked"),
        pytest.param("own", ["train", "val", "test"], None, "test", id="test before val"),
        pytest.param("activitynet13", ["training", "validation", "test"], None, "validation", id="manifest"),
        pytest.param("activitynet13", ["train", "test"], None, "test", id="manifest's split is not there"),
        pytest.param("thumos14", ["train", "validation", "Test"], None, "Test", id="own table named like a dataset"),
    ],
)
def test_choose_split(dataset: str, splits: list[str], asked: str | None, expected: str) -> None:
    annotations = make_annotation_set({split: (split, []) for split in splits}, CLASSES, dataset=dataset)
    assert ScoringOptions(split=asked).split_of(annotations) == expected


@pytest.mark.parametrize(
    ("splits", "asked", "error", "message"),
    [
        pytest.param(["all"], None, UsageError, "which split.* There are: all", id="none likely"),
        pytest.param(["test"], "dev", AnnotationError, "no video in split 'dev'; the splits are: test", id="absent"),
    ],
)
def test_choose_split_refuses(splits: list[str], asked: str | None, error: type[Exception], message: str) -> None:
    annotations = make_annotation_set({split: (split, []) for split in splits}, CLASSES)
    with pytest.raises(error, match=message):
        ScoringOptions(split=asked).split_of(annotations)


def test_score_file_equals_score(tmp_path: Path, annotations: AnnotationSet) -> None:
    write_annotations(annotations, tmp_path / "a.json")
    write_predictions(tmp_path / "p.json", PREDICTIONS)
    found = evaluate_predictions(tmp_path / "p.json", tmp_path / "a.json", ScoringOptions(tiou="0.5:0.7:0.2"))
    expected = score(PREDICTIONS, annotations, ScoringOptions(split="test", tiou=(0.5, 0.7)))
    assert found.to_json() == expected.to_json()

    write_results(tmp_path / "out", found, DetectionTables({"action": PREDICTIONS}))
    assert json.loads((tmp_path / "out" / "scores.json").read_bytes()) == found.to_json()
    assert len(read_predictions(tmp_path / "out" / "detections.json")) == len(PREDICTIONS)


def test_grid_coverage() -> None:
    annotations = make_annotation_set(
        {
            "a": ("test", [(0.0, 0.4, "run"), (0.25, 1.25, "run"), (3.0, 3.5, "run"), (11.0, 12.0, "run")]),
            "b": ("test", [(0.0, 1.0, "run")]),
            "c": ("test", None),
        },
        CLASSES,
    )
    # features centred at 1, 2, ..., 10 s cover [0.5, 10.5)
    coverage = GridCoverage.measure(annotations.split("test"), {"a": FeatureGrid(1.0, 1.0, 10)})
    assert coverage.videos_without_features == ("b",)
    assert coverage.segments_outside_grid == (("a", 0.0, 0.4), ("a", 11.0, 12.0))
    assert coverage.segments_shorter_than_step == (("a", 3.0, 3.5),)


def test_warnings_name_what_is_missing(annotations: AnnotationSet) -> None:
    grid = GridCoverage.measure(
        annotations.split("test"), {"t1": FeatureGrid(1.0, 1.0, 10), "t2": FeatureGrid(1, 6, 5)}
    )
    scores = score(PREDICTIONS, annotations, ScoringOptions(split="test", tiou=(0.5,)), grid=grid)
    assert scores.coverage.warnings() == [
        "1 annotated video without any prediction: t5",
        "1 class with ground truth never predicted: swim",
        "1 class without ground truth in this split, left out of the mean: throw",
        "1 video not annotated, not scored: t4",
        "2 videos without features: t3, t5",
        "1 segment outside the time that features cover: t1 [20, 30)",
        "1 segment shorter than one feature step: t2 [5, 5.0005)",
        "3 predictions ignored, as their videos are not in the split, or not annotated",
    ]
    outside = scores.to_json()["coverage"]["segments_outside_grid"]
    assert outside == [{"video_id": "t1", "start_s": 20.0, "end_s": 30.0}]


def test_manifests_know_the_protocols_there_are() -> None:
    assert set(get_args(schema.Protocol)) == set(PROTOCOLS)


@pytest.mark.parametrize(
    ("dataset", "protocol", "tiou"),
    [
        pytest.param("thumos14", "activitynet", "0.3:0.7:0.1", id="thumos14"),
        pytest.param("ego4d-mq", "ego4d-mq", "0.1:0.5:0.1", id="ego4d-mq"),
        pytest.param("my own", "activitynet", "0.3:0.7:0.1", id="unknown"),
    ],
)
def test_default_protocol(dataset: str, protocol: str, tiou: str) -> None:
    options = ScoringOptions()
    assert options.protocol_for(dataset).name == protocol
    assert options.tiou_thresholds(dataset) == parse_tiou(tiou)


CHALLENGE_TIOU = {"proposals": "0.5:0.95:0.05", "ego4d-mq": "0.1:0.5:0.1", "epic-kitchens": "0.1:0.5:0.1"}


@pytest.mark.parametrize("dataset", [*manifest_paths(), "my own"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_thresholds_of_a_protocol(protocol: str, dataset: str) -> None:
    own = CHALLENGE_TIOU.get(protocol)
    expected = parse_tiou(own) if own is not None else default_tiou_thresholds(dataset)
    assert ScoringOptions(protocol=protocol).tiou_thresholds(dataset) == expected
    if not find_protocol(protocol).by_frame:
        assert ScoringOptions(protocol=protocol, tiou="0.2:0.4:0.2").tiou_thresholds(dataset) == (0.2, 0.4)


@pytest.mark.parametrize("dataset", manifest_paths())
def test_a_manifest_agrees_with_its_protocol(dataset: str) -> None:
    assert ScoringOptions().tiou_thresholds(dataset) == load_manifest(dataset).tiou_thresholds


@pytest.mark.parametrize(
    ("protocol", "tiou", "expected"),
    [
        pytest.param(None, None, "0.3:0.7:0.1", id="no protocol named"),
        pytest.param("activitynet", None, "0.3:0.7:0.1", id="activitynet"),
        pytest.param("thumos14", None, "0.3:0.7:0.1", id="thumos14"),
        pytest.param("ego4d-mq", None, "0.1:0.5:0.1", id="ego4d-mq"),
        pytest.param("ego4d-mq", "0.3:0.7:0.2", "0.3:0.7:0.2", id="ego4d-mq with --tiou"),
        pytest.param("epic-kitchens", None, "0.1:0.5:0.1", id="epic-kitchens"),
        pytest.param("epic-kitchens", "0.5:0.5:0.1", "0.5:0.5:0.1", id="epic-kitchens with --tiou"),
        pytest.param("proposals", None, "0.5:0.95:0.05", id="proposals"),
    ],
)
def test_scores_state_protocol_and_thresholds(protocol: str | None, tiou: str | None, expected: str) -> None:
    segments = [{"start": 1.0, "end": 2.0, "labels": {"verb": "take", "noun": "cup"}}]
    video = {"split": "test", "duration": 9.0, "segments": segments}
    annotations = make_annotation_set({}, [], vocabularies={"verb": ["take"], "noun": ["cup"]}, videos={"a": video})
    label, vocabulary = ("take,cup", None) if protocol == "epic-kitchens" else ("take", "verb")
    detections = Detections.from_lists([("a", 1.0, 2.0, label, 1.0)])
    scores = score(detections, annotations, ScoringOptions(protocol=protocol, tiou=tiou, vocabulary=vocabulary))
    document = scores.to_json()
    assert (document["protocol"], document["tiou"]) == (protocol or "activitynet", list(parse_tiou(expected)))
    stream = io.StringIO()
    print_scores(scores, Console(file=stream, width=100))
    text = stream.getvalue()
    assert f"protocol {document['protocol']}, " in text
    rows = re.findall(r"^ +(0\.\d+) ", text, re.MULTILINE)
    assert list(map(float, rows)) == document["tiou"] * max(1, len(scores.parts))
