"""Actions of EPIC-KITCHENS-100: from its own JSON, from labels of two classes, and from verbs and nouns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_evaluate import epic_actions as actions
from asl_evaluate.epic_actions import pair_actions, read_actions
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detection, Detections
from asl_kit.errors import AslKitError, PredictionError

VERBS, NOUNS = ("take", "put"), ("tap", "board:chopping", "cup")
ENTRY: dict[str, Any] = {"verb": 1, "noun": 2, "action": "1,2", "score": 0.5, "segment": [1, 2.5]}


def epic(path: Path, *entries: dict[str, Any], **fields: Any) -> Path:
    path.write_text(json.dumps({"results": {"P01_01": list(entries)}, **fields}))
    return path


def table(*rows: tuple[str, float, float, str, float]) -> Detections:
    return Detections.from_lists([Detection(*row) for row in rows])


@pytest.mark.parametrize("fields", [{}, {"version": "0.2", "challenge": "action_detection", "sls_pt": 2}])
def test_the_challenges_json_is_read(tmp_path: Path, fields: dict[str, Any]) -> None:
    more = {"verb": 0, "noun": 1, "action": "0, 1", "score": 1, "segment": [0.0, 4.0], "note": "not read"}
    found = read_actions([epic(tmp_path / "epic.json", ENTRY, more, **fields)], VERBS, NOUNS)
    assert found.rows("P01_01") == [
        Detection("P01_01", 0.0, 4.0, "take,board:chopping", 1.0),
        Detection("P01_01", 1.0, 2.5, "put,cup", 0.5),
    ]


def test_one_file_of_labels_stays_as_it_is(tmp_path: Path) -> None:
    rows = table(("a", 0.0, 1.0, "put,cup", 0.5))
    write_predictions(tmp_path / "actions.json", rows)
    assert read_actions([tmp_path / "actions.json"], VERBS, NOUNS).rows("a") == rows.rows("a")


def test_two_files_are_paired(tmp_path: Path) -> None:
    write_predictions(tmp_path / "verbs.json", table(("a", 0.0, 4.0, "put", 0.9), ("b", 0.0, 4.0, "take", 0.9)))
    write_predictions(tmp_path / "nouns.json", table(("a", 0.0, 4.0, "cup", 0.4), ("a", 1.0, 5.0, "tap", 0.1)))
    found = read_actions([tmp_path / "verbs.json", tmp_path / "nouns.json"], VERBS, NOUNS)
    assert found.video_ids == ("a", "b")
    assert found.rows("b") == []
    assert found.rows("a") == [
        Detection("a", 0.0, 4.0, "put,cup", np.sqrt(0.9 * 0.4)),  # tIoU 1
        Detection("a", 0.5, 4.5, "put,tap", np.sqrt(0.9 * 0.1)),  # tIoU 3 / 5
    ]


@pytest.mark.parametrize(
    ("start_s", "is_paired"), [(1.0, True), (1.5, False)], ids=["overlap of 0.5", "overlap below 0.5"]
)
def test_pairs_overlap_by_half(start_s: float, is_paired: bool) -> None:
    found = pair_actions(table(("a", 0.0, 3.0, "put", 1.0)), table(("a", start_s, start_s + 3.0, "cup", 1.0)))
    assert bool(len(found)) == is_paired


def test_the_best_pairs_stay() -> None:
    verbs = table(*((f"{video}", 0.0, 1.0, "put", score / 10) for video in "ab" for score in range(1, 10)))
    nouns = table(*((f"{video}", 0.0, 1.0, "cup", score / 10) for video in "ab" for score in range(1, 10)))
    found = pair_actions(verbs, nouns, per_video=3)
    assert [row.score for row in found.rows("b")] == pytest.approx([0.9, np.sqrt(0.72), np.sqrt(0.72)])
    assert len(found) == 6


spans = st.tuples(st.integers(0, 6), st.integers(1, 6), st.sampled_from([0.1, 0.4, 0.9]))


@given(st.lists(spans, max_size=9), st.lists(spans, max_size=9), st.integers(1, 6), st.randoms(use_true_random=False))
def test_pairs_are_those_of_each_with_each(
    left: list[tuple[int, int, float]], right: list[tuple[int, int, float]], per_video: int, random: Any
) -> None:
    verbs = [("a", float(start), float(start + length), "put", score) for start, length, score in left]
    nouns = [("a", float(start), float(start + length), "cup", score) for start, length, score in right]
    scores = []
    for _, start, end, _, score in verbs:
        for _, noun_start, noun_end, _, noun_score in nouns:
            overlap = min(end, noun_end) - max(start, noun_start)
            if overlap / (end - start + noun_end - noun_start - overlap) >= 0.5:
                scores.append((score * noun_score) ** 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(actions, "PAIRS_AT_ONCE", random.randint(1, 30))
        found = pair_actions(table(*verbs), table(*nouns), per_video=per_video)
        mixed = pair_actions(
            table(*random.sample(verbs, len(verbs))), table(*random.sample(nouns, len(nouns))), per_video=per_video
        )
    assert found.score.tolist() == pytest.approx(sorted(scores, reverse=True)[:per_video])
    assert [found.start_s.tolist(), found.end_s.tolist()] == [mixed.start_s.tolist(), mixed.end_s.tolist()]


def test_nothing_makes_nothing() -> None:
    assert len(pair_actions(table(), table())) == 0
    assert len(pair_actions(table(("a", 0.0, 1.0, "put", 0.5)), table(("b", 0.0, 1.0, "cup", 0.5)))) == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9), st.integers(1, 9), st.sampled_from(VERBS), st.sampled_from(NOUNS), st.integers(0, 1000)
        ),
        max_size=8,
        unique_by=lambda row: row[:2],
    )
)
def test_one_proposals_verb_and_noun_have_its_segment_and_score(rows: list[tuple[int, int, str, str, int]]) -> None:
    proposals = [(float(start), float(start + length), score / 1000) for start, length, _, _, score in rows]
    verbs = table(*(("a", start, end, row[2], score) for (start, end, score), row in zip(proposals, rows, strict=True)))
    nouns = table(*(("a", start, end, row[3], score) for (start, end, score), row in zip(proposals, rows, strict=True)))
    found = pair_actions(verbs, nouns, min_tiou=1.0)
    expected = {
        ("a", start, end, f"{row[2]},{row[3]}", score) for (start, end, score), row in zip(proposals, rows, strict=True)
    }
    assert set(found.rows("a") if rows else ()) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"verb": 2}, r"entry 0, verb: expected a class in \[0, 2\), found 2", id="verb"),
        pytest.param({"noun": -1}, r"entry 0, noun: expected a class in \[0, 3\), found -1", id="noun"),
        pytest.param(
            {"action": "1,1"}, "entry 0, action: expected its verb and noun, '1,2', found '1,1'", id="another action"
        ),
        pytest.param({"segment": [2, 1]}, "video 'P01_01', entry 0, .*expected a time not before start", id="turned"),
        pytest.param({"segment": [1]}, r"entry 0, segment: expected two numbers .* found \[1\]", id="half a segment"),
        pytest.param({"score": float("nan")}, "entry 0, score: expected a finite number, found nan", id="no number"),
        pytest.param({"score": "0.5"}, 'entry 0, score: expected a number, found "0.5"', id="text"),
        pytest.param({"verb": 1.5}, "entry 0, verb: expected a whole number, found 1.5", id="half a verb"),
        pytest.param({"action": 5}, "entry 0, action: expected 'VERB_ID,NOUN_ID', found 5", id="action a number"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = epic(tmp_path / "epic.json", {**ENTRY, **change})
    with pytest.raises(PredictionError, match=message) as caught:
        read_actions([path], VERBS, NOUNS)
    assert str(path) in caught.value.message


def verbs_and_nouns(folder: Path) -> list[Path]:
    write_predictions(folder / "verbs.json", table(("a", 0.0, 1.0, "put", 0.5)))
    write_predictions(folder / "nouns.json", table(("a", 0.0, 1.0, "cup", 0.5)))
    write_predictions(folder / "negative.json", table(("a", 0.0, 1.0, "cup", -0.5)))
    epic(folder / "epic.json", ENTRY)
    return [folder / name for name in ("verbs.json", "nouns.json")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        pytest.param([], "expected one file, or a file of verbs and one of nouns, found 0", id="none"),
        pytest.param(["verbs.json"] * 3, "found 3", id="three"),
        pytest.param(["nouns.json", "verbs.json"], "nouns.json: class 'cup' is not a verb", id="turned round"),
        pytest.param(["verbs.json", "epic.json"], "epic.json: has verbs and nouns", id="two kinds"),
        pytest.param(["verbs.json", "absent.json"], "absent.json: no such file", id="absent"),
        pytest.param(
            ["verbs.json", "negative.json"], "video 'a': a score of -0.5 has no geometric mean", id="negative"
        ),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, names: list[str], message: str) -> None:
    verbs_and_nouns(tmp_path)
    with pytest.raises(AslKitError, match=message):
        read_actions([tmp_path / name for name in names], VERBS, NOUNS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('{"a": [], "a": []}', r"epic\.json: results: key 'a' occurs twice", id="video"),
        pytest.param(
            '{"a": [{"verb": 1, "verb": 1, "noun": 2, "action": "1,2", "score": 1, "segment": [0, 1]}]}',
            r"epic\.json: video 'a', entry 0: key 'verb' occurs twice",
            id="field",
        ),
    ],
)
def test_a_key_that_occurs_twice_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "epic.json").write_text('{"sls_pt": 1, "results": ' + text + "}")
    with pytest.raises(PredictionError, match=message):
        read_actions([tmp_path / "epic.json"], VERBS, NOUNS)


def test_a_file_with_more_fields_says_the_same(tmp_path: Path) -> None:
    entries = [ENTRY, {**ENTRY, "segment": [0, 1], "noun": 0, "action": "1,0"}]
    plain = read_actions([epic(tmp_path / "plain.json", *entries, version="0.2")], VERBS, NOUNS)
    more = read_actions([epic(tmp_path / "more.json", *({**row, "id": 3} for row in entries))], VERBS, NOUNS)
    assert plain.rows("P01_01") == more.rows("P01_01")
