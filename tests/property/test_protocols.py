"""What holds for every protocol, whatever the predictions."""

from __future__ import annotations

import json
import string
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.support import make_annotation_set
from hypothesis import given, settings
from hypothesis import strategies as st

import asl_kit.detections.json_reader
from asl_evaluate.options import ScoringOptions
from asl_evaluate.protocols import PROTOCOLS, find_protocol
from asl_evaluate.scores import Scores
from asl_evaluate.scoring import score
from asl_kit.annotations import AnnotationSet
from asl_kit.detections.json_format import read_predictions
from asl_kit.detections.table import Detections
from asl_kit.errors import PredictionError
from asl_kit.metrics import ScoredSegments, Segments, proposal_recall, recall_at_top

CLASSES = ["jump", "run"]
VIDEOS = ["a", "b", "c"]
TIOU = (0.25, 0.5, 0.75)
NAMES = ["activitynet", "thumos14", "multithumos", "charades", "proposals", "ego4d-mq"]

# Whole numbers on a short line, so that equal segments, equal tIoU and tIoU at a threshold are common.
videos = st.sampled_from(VIDEOS)
labels = st.sampled_from(CLASSES)
intervals = st.tuples(st.integers(0, 11), st.integers(1, 8)).map(lambda pair: (float(pair[0]), float(sum(pair))))
segments = st.tuples(videos, intervals, labels)
truths = st.lists(segments, min_size=1, max_size=10)
found = st.lists(st.tuples(segments, st.sampled_from([0.1, 0.2, 0.3, 0.4])), max_size=20)


def _annotations(truth: list[Any], order: list[str] = VIDEOS) -> AnnotationSet:
    documents = {
        video: {
            "split": "test",
            "duration": 20.0,
            "fps": 2.0,
            "segments": [
                {"start": start, "end": end, "labels": {"action": label}}
                for name, (start, end), label in truth
                if name == video
            ],
            "ignored": [{"start": 3.0, "end": 4.0, "reason": "Ambiguous"}] if video == "a" else [],
        }
        for video in order
    }
    return make_annotation_set({}, CLASSES, videos=documents)


def _score(name: str, truth: list[Any], rows: list[Any], order: list[str] = VIDEOS) -> Scores:
    detections = Detections.from_lists([(video, *times, label, value) for (video, times, label), value in rows])
    tiou = None if find_protocol(name).by_frame else TIOU
    return score(detections, _annotations(truth, order), ScoringOptions("test", tiou, protocol=name))


def _numbers(scores: Scores) -> list[float]:
    metrics = {**scores.recall, **scores.metrics}.values()
    return [
        *scores.mean_average_precision,
        *(value for row in scores.per_class.values() for value in row.average_precision),
        *(value for metric in metrics for value in (metric.mean, *metric.per_tiou)),
    ]


def test_every_protocol_of_one_vocabulary_is_tried() -> None:
    assert {name for name in PROTOCOLS if not find_protocol(name).joint} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(truth=truths, rows=found)
def test_numbers_are_shares(name: str, truth: list[Any], rows: list[Any]) -> None:
    assert all(0 <= value <= 1 for value in _numbers(_score(name, truth, rows)))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(truth=truths, rows=found, random=st.randoms(use_true_random=False))
def test_order_of_videos_and_predictions_does_not_matter(
    name: str, truth: list[Any], rows: list[Any], random: Any
) -> None:
    if name == "ego4d-mq":  # its recall goes by the order in the file, as the challenge's does
        rows = [(row, value + place / 1000) for place, (row, value) in enumerate(rows)]
    shuffled = random.sample(rows, len(rows))
    mixed = _score(name, random.sample(truth, len(truth)), shuffled, random.sample(VIDEOS, len(VIDEOS)))
    plain = _score(name, truth, rows)
    assert mixed.mean_average_precision == pytest.approx(plain.mean_average_precision, abs=1e-12)
    if name != "ego4d-mq":
        assert _numbers(mixed) == pytest.approx(_numbers(plain), abs=1e-12)


@pytest.mark.parametrize("name", ["activitynet", "thumos14", "multithumos", "charades", "ego4d-mq"])
@settings(max_examples=15)
@given(truth=truths)
def test_perfect_predictions_give_1(name: str, truth: list[Any]) -> None:
    scores = _score(name, truth, [(row, 0.5) for row in truth])
    assert all(row.mean == pytest.approx(1) for row in scores.per_class.values())
    absent = len(CLASSES) - len(scores.per_class) if name == "multithumos" else 0  # its meter counts these as 0
    expected = len(scores.per_class) / (len(scores.per_class) + absent)
    assert scores.mean_average_precision == pytest.approx(
        [expected] * (1 if find_protocol(name).by_frame else len(TIOU))
    )


@settings(max_examples=30)
@given(truth=truths, rows=found, extra=segments)
def test_a_proposal_below_all_others_never_raises_the_recall_of_as_many(
    truth: list[Any], rows: list[Any], extra: Any
) -> None:
    def columns(items: list[Any]) -> tuple[np.ndarray, ...]:
        table = np.array([(VIDEOS.index(video), *times, 0) for video, times, _ in items], float).reshape(-1, 4)
        return table[:, 0].astype(int), table[:, 1], table[:, 2], table[:, 3].astype(int)

    def recall_of(items: list[Any], per_video: int) -> np.ndarray:
        scored = ScoredSegments(*columns([row for row, _ in items]), np.array([value for _, value in items], float))
        return recall_at_top(Segments(*columns(truth)), scored, per_video=per_video, tiou_thresholds=TIOU)

    fewer = max((sum(row[0] == video for row, _ in rows) for video in VIDEOS), default=0)
    for per_video in range(1, fewer + 1):
        crowded = [video for video in VIDEOS if sum(row[0] == video for row, _ in rows) >= per_video]
        if extra[0] in crowded:
            assert (recall_of([*rows, (extra, 0.0)], per_video) == recall_of(rows, per_video)).all()
    assert (recall_of([*rows, (extra, 0.0)], 50) >= recall_of(rows, 50)).all()
    rising = proposal_recall(
        Segments(*columns(truth)),
        ScoredSegments(*columns([row for row, _ in rows]), np.array([value for _, value in rows], float)),
        tiou_thresholds=TIOU,
    )
    assert (np.diff(rising, axis=1) >= 0).all()


# Pieces that are sound, and pieces that are not: the quick reader must see the difference, or read the same.
entry_fields = st.lists(
    st.sampled_from(
        [
            '"segment": [0, 1.5]', '"segment":[1,2]', '"segment": [2, 1]', '"segment": [0, NaN]', '"segment": [0]',
            '"segment": [1e999, 2]', '"label": "a"', '"label": "\\"\\\\"', '"label": "b \\u00e9"',
            '"label": "score"', '"label": ""', '"label": 3', '"score": 0.25', '"score": -1', '"score": true',
            '"score": 1e-320', '"sc\\u006fre": 2', '"more": []',
        ]
    ),
    min_size=2,
    max_size=4,
).map(lambda fields: "{" + ", ".join(fields) + "}")  # fmt: skip
sound_entry = st.builds(
    '{{"label": "{}", "segment": [{!r}, {!r}], "score": {!r}}}'.format,
    st.text(string.ascii_letters + "[]{}:,é", min_size=1, max_size=3),
    st.integers(0, 3) | st.floats(0, 4),
    st.integers(4, 9) | st.floats(4, 9),
    st.floats(-1e300, 1e300),
)
entries = st.lists(sound_entry | sound_entry | sound_entry | entry_fields, max_size=3).map(
    lambda all_: f"[{', '.join(all_)}]"
)
documents = st.builds(
    "{{{}}}".format,
    st.lists(
        st.builds(
            '"results": {{{}}}'.format,
            st.lists(st.builds('"{}": {}'.format, st.sampled_from("vwx"), entries | st.just("{}")), max_size=3).map(
                ", ".join
            ),
        )
        | st.sampled_from(
            [
                '"version": "1 [x]"',
                '"external_data": {"used": [true, "\\"]}',
                '"external_data": {}',
                '"external_data": [{"segment": [0, 1], "label": "a", "score": 1}]',
                '"external_data": [{"segment": [0, 1], "label": "a", "sc\\u006fre": 1}]',
                '"other": 1',
            ]
        ),
        min_size=1,
        max_size=3,
    ).map(", ".join),
)


def _outcome(path: Path) -> Any:
    try:
        read = read_predictions(path)
    except PredictionError as fault:
        return str(fault), fault.hint
    columns = (read.video, read.start_s, read.end_s, read.score, read.label)
    return read.video_ids, read.class_names, [column.tolist() for column in columns]


@settings(max_examples=200)
@given(text=documents)
def test_the_quick_reader_says_what_the_careful_one_says(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "p.json")
        path.write_text(text, encoding="utf-8")
        quick = _outcome(path)
        patch.setattr(asl_kit.detections.json_reader, "_read_valid", lambda *_: None)
        assert quick == _outcome(path)


def test_the_quick_reader_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asl_kit.detections.json_reader, "_read_any", None)
    entry = {"segment": [0, 1.5], "label": "a", "score": 0.5}
    document = {"version": "1", "results": {"v": [entry], "w": []}, "external_data": {}}
    (tmp_path / "p.json").write_text(json.dumps(document))
    assert len(read_predictions(tmp_path / "p.json")) == 1
