"""Detections of several files fused, against a plain loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_kit.cli.fuse import fuse as fuse_command
from asl_kit.detections import fusion
from asl_kit.detections.fusion import fuse, fuse_files
from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detections
from asl_kit.errors import AslKitError, PredictionError, UsageError

VIDEOS, CLASSES = ("a", "b", "c"), ("jump", "run")


def plain_fusion(tables: Sequence[Detections], weights: Sequence[float], min_tiou: float) -> list[tuple[Any, ...]]:
    """Return what the module describes, one detection after the other."""
    by_rank = [sorted(table.score.tolist(), reverse=True) for table in tables if len(table)]
    mean = [
        sum(scores[min(rank, len(scores) - 1)] for scores in by_rank) / len(by_rank)
        for rank in range(max(map(len, by_rank), default=0))
    ]
    rows = []
    for source, table in enumerate(tables):
        for rank, row in enumerate(np.argsort(-table.score, kind="stable")):
            names = (table.video_ids[table.video[row]], table.class_names[table.label[row]])
            score = weights[source] * mean[rank]
            rows.append((*names, -score, source, row, table.start_s[row], table.end_s[row]))
    clusters: list[dict[str, Any]] = []
    for video, label, negative, source, _, start, end in sorted(rows):
        best, best_tiou = None, -1.0
        for cluster in clusters:
            if (cluster["video"], cluster["label"]) != (video, label) or source in cluster["sources"]:
                continue
            shared = max(min(end, cluster["end"]) - max(start, cluster["start"]), 0)
            union = (end - start) + (cluster["end"] - cluster["start"]) - shared
            tiou = shared / union if union else 0.0
            if tiou > best_tiou:
                best, best_tiou = cluster, tiou
        if best is None or best_tiou < min_tiou:
            best = {"video": video, "label": label, "sources": [], "members": []}
            clusters.append(best)
        best["sources"].append(source)
        best["members"].append((-negative, start, end))
        total = sum(max(score, 1e-300) for score, _, _ in best["members"])
        best["start"] = sum(max(score, 1e-300) * start for score, start, _ in best["members"]) / total
        best["end"] = sum(max(score, 1e-300) * end for score, _, end in best["members"]) / total
    return [
        (
            cluster["video"],
            cluster["label"],
            cluster["start"],
            cluster["end"],
            sum(score for score, _, _ in cluster["members"])
            / sum(weight for weight, table in zip(weights, tables, strict=True) if cluster["video"] in table.video_ids),
        )
        for cluster in clusters
    ]


@st.composite
def tables_of(draw: st.DrawFn) -> Detections:
    """Draw a table; few distinct times and scores, so that there are ties and segments without length."""
    videos = draw(st.permutations(VIDEOS))[: draw(st.integers(1, 3))]
    classes = draw(st.permutations(CLASSES))[: draw(st.integers(1, 2))]
    times = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(sorted)
    row = st.tuples(st.sampled_from(videos), times, st.sampled_from(classes), st.sampled_from([0, 0.25, 0.5, 0.8, 90]))
    rows = draw(st.lists(row, max_size=12))
    return Detections.from_lists(
        [(video, start, end, label, score) for video, (start, end), label, score in rows],
        video_ids=videos,
        class_names=classes,
    )


@settings(max_examples=150)
@given(
    st.lists(tables_of(), min_size=2, max_size=4),
    st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=4, max_size=4),
    st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    st.sampled_from([1, 2**20]),
)
def test_as_a_plain_loop(tables: list[Detections], weights: list[float], min_tiou: float, table_size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusion, "TABLE_SIZE", table_size)
        fused = fuse(tables, weights[: len(tables)], min_tiou=min_tiou)
    found = [row for video_id in fused.video_ids for row in fused.rows(video_id)]
    expected = plain_fusion(tables, weights[: len(tables)], min_tiou)
    assert sorted((row.video_id, row.label) for row in found) == sorted(row[:2] for row in expected)
    key = [(row.video_id, row.label, round(row.score, 9), round(row.start_s, 6), round(row.end_s, 6)) for row in found]
    wanted = [(video, label, round(s, 9), round(start, 6), round(end, 6)) for video, label, start, end, s in expected]
    assert sorted(key) == sorted(wanted)
    assert all((np.diff(fused.score[fused.video == number]) <= 0).all() for number in range(len(fused.video_ids)))


def table(*rows: tuple[str, float, float, str, float]) -> Detections:
    return Detections.from_lists(rows, video_ids=VIDEOS[:2], class_names=CLASSES)


def test_a_table_fused_with_itself_is_that_table() -> None:
    one = table(("a", 0, 10, "run", 0.75), ("a", 1, 10, "run", 0.5), ("b", 2, 3, "jump", 0.25))
    fused = fuse([one, one], [1, 1])
    assert [fused.rows(name) for name in ("a", "b")] == [one.rows(name) for name in ("a", "b")]


def test_what_one_file_lacks_counts_as_a_score_of_zero() -> None:
    both, alone = ("a", 0.0, 10.0, "run", 0.5), ("a", 20.0, 30.0, "run", 0.5)
    fused = fuse([table(both, alone), table(both)], [1, 3])
    assert [tuple(row)[1:] for row in fused.rows("a")] == [(0, 10, "run", 0.5), (20, 30, "run", 0.125)]


def test_another_scale_of_scores_decides_nothing() -> None:
    """Per cent in one file: without one scale, its segments would be the fused ones."""
    first = table(("a", 0, 10, "run", 0.5), ("a", 20, 30, "run", 0.25))
    per_cent = table(("a", 0, 12, "run", 50), ("a", 20, 32, "run", 25))
    fused = fuse([first, per_cent], [1, 1])
    assert [(row.start_s, row.end_s) for row in fused.rows("a")] == [(0, 11), (20, 31)]


ONE = table(("a", 0, 10, "run", 0.5))


@pytest.mark.parametrize(
    ("others", "options", "error", "message"),
    [
        ([], {}, UsageError, "^1 files to fuse: give 2 to 62$"),
        ([ONE], {"weights": [1.0]}, UsageError, "^1 weights for 2 files: give one for each$"),
        ([ONE], {"weights": [1.0, 0.0]}, UsageError, "^weight 0.0: expected a number above 0$"),
        ([ONE], {"weights": [float("nan"), 1]}, UsageError, "^weight nan: expected a number above 0$"),
        (
            [table(("a", 0, 1, "run", -2))],
            {},
            PredictionError,
            "1.json: a score of -2: scores below 0 cannot be averaged",
        ),
        (
            [Detections.from_lists([("video_a", 0, 1, "run", 1)])],
            {},
            PredictionError,
            r"1.json: has no video in common with .*0.json: video_a against a, b$",
        ),
        (
            [Detections.from_lists([("a", 0, 1, "Running", 1)])],
            {},
            PredictionError,
            r"1.json: has no class in common with .*0.json: Running against run$",
        ),
    ],
)
def test_refused(
    others: list[Detections], options: dict[str, Any], error: type[AslKitError], message: str, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{number}.json" for number in range(1 + len(others))]
    for path, one in zip(paths, [ONE, *others], strict=True):
        write_predictions(path, one)
    with pytest.raises(error, match=message):
        fuse_files(paths, tmp_path / "fused.json", **options)
    assert not (tmp_path / "fused.json").exists()


def test_files(tmp_path: Path) -> None:
    write_predictions(tmp_path / "0.json", ONE)
    (tmp_path / "1.csv").write_text("video,start,end,label,score\na,0,12,run,0.5\nc,1,2,jump,0.5\n", "utf-8")
    fused = fuse_files([tmp_path / "0.json", tmp_path / "1.csv"], tmp_path / "fused.json")
    assert fused.not_in_all == ("b", "c")
    found = read_predictions(tmp_path / "fused.json")
    assert set(found.video_ids) == {"a", "b", "c"}
    assert [tuple(row)[1:] for row in found.rows("a")] == [(0, 11, "run", 0.5)]
    assert [tuple(row)[1:] for row in found.rows("c")] == [(1, 2, "jump", 0.5)], "the other has not searched it"
    with pytest.raises(UsageError, match=r"fused\.csv: fused detections are JSON"):
        fuse_files([tmp_path / "0.json", tmp_path / "1.csv"], tmp_path / "fused.csv")


def test_the_command_has_the_default_of_the_function() -> None:
    (option,) = (option for option in fuse_command.params if option.name == "min_tiou")
    assert option.default == fusion.FUSION_TIOU
