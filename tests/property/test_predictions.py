from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detection, Detections

finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
spans = st.tuples(finite, finite).map(sorted)
rows = st.lists(
    st.builds(lambda video, span, label, score: Detection(video, *span, label, score), names, spans, names, finite)
)


@given(rows, st.sets(names))
def test_write_then_read_gives_the_same_numbers_and_bytes(detections: list[Detection], more_videos: set[str]) -> None:
    video_ids = sorted({row.video_id for row in detections} | more_videos)
    written = Detections.from_lists(detections, video_ids=video_ids)
    with TemporaryDirectory() as folder:
        first, second = Path(folder, "1.json"), Path(folder, "2.json")
        write_predictions(first, written)
        read = read_predictions(first)
        write_predictions(second, read)
        assert first.read_bytes() == second.read_bytes()
    assert read.video_ids == tuple(video_ids)
    assert read.class_names == written.class_names
    for video_id in video_ids:
        assert read.rows(video_id) == written.rows(video_id)


@given(rows, st.randoms(use_true_random=False))
def test_rows_stay_grouped_and_whole(detections: list[Detection], random: object) -> None:
    made = Detections.from_lists(detections)
    assert (np.diff(made.video) >= 0).all()
    found = [row for video_id in made.video_ids for row in made.rows(video_id)]
    assert sorted(found) == sorted(detections)
