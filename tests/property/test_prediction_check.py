"""Mending undoes what it can undo, and changes nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from helpers.support import make_annotation_set
from hypothesis import given
from hypothesis import strategies as st

from asl_evaluate.prediction_check import Finding, PredictionCheck, check_predictions, mend
from asl_kit.annotations import AnnotationSet
from asl_kit.detections.table import Detection, Detections

CLASSES = ["jump high", "run", "swim"]
FPS = {"v_a": 25.0, "v_B-1": 30.0, "v_c_2": 50.0}


def annotate() -> AnnotationSet:
    """Return annotations of videos of 100 s."""
    made = make_annotation_set({name: ("test", [(0.0, 10.0, "run")]) for name in FPS}, CLASSES)
    return made.model_copy(
        update={"videos": {name: video.model_copy(update={"fps": FPS[name]}) for name, video in made.videos.items()}}
    )


ANNOTATIONS = annotate()
START_S = st.integers(30, 60)  # so that a segment in other units cannot be one in seconds
rows = st.lists(
    st.builds(
        lambda video, start_s, length_s, label, score: Detection(video, start_s, start_s + length_s, label, score),
        st.sampled_from(sorted(FPS)),
        START_S.map(float),
        st.integers(5, 40).map(float),
        st.sampled_from(CLASSES),
        st.floats(0, 1),
    ),
    min_size=3,
    unique=True,
).filter(lambda made: len({row.video_id for row in made}) > 1)
SCALES = {
    "milliseconds": dict.fromkeys(FPS, 1000.0),
    "frame numbers": FPS,
    "fractions of the video": dict.fromkeys(FPS, 0.01),
    None: dict.fromkeys(FPS, 1.0),
}


def listed(detections: Detections) -> list[tuple[object, ...]]:
    """Return the rows in the order of the table, times rounded to 1 ns."""
    return [
        (
            detections.video_ids[video],
            round(detections.start_s[number], 9),
            round(detections.end_s[number], 9),
            detections.class_names[detections.label[number]],
            detections.score[number],
        )
        for number, video in enumerate(detections.video.tolist())
    ]


def faults(check: PredictionCheck) -> list[Finding]:
    return [finding for finding in check.findings if finding.severity != "remark"]


@given(
    rows,
    st.sampled_from(list(SCALES)),
    st.sampled_from([str, str.upper, lambda name: name.removeprefix("v_"), lambda name: f"day 1/{name}.MP4"]),
    st.sampled_from([str, str.upper, lambda name: name.replace(" ", "_"), lambda name: name.title()]),
)
def test_what_was_scaled_renamed_and_respelt_is_as_before(
    good: Sequence[Detection], unit: str | None, rename: type[str], respell: type[str]
) -> None:
    before = Detections.from_lists(good, video_ids=sorted(FPS), class_names=CLASSES)
    scale = SCALES[unit]
    wrong = Detections.from_lists(
        [
            Detection(
                rename(row.video_id),
                row.start_s * scale[row.video_id],
                row.end_s * scale[row.video_id],
                respell(row.label),
                row.score,
            )
            for row in good
        ],
        video_ids=[rename(name) for name in sorted(FPS)],
        class_names=[respell(name) for name in CLASSES],
    )
    check = check_predictions(wrong, ANNOTATIONS, split="test", classes=CLASSES)
    assert check.unit == unit
    mended = mend(wrong, check)
    assert mended.video_ids == before.video_ids
    assert listed(mended) == listed(before)
    assert faults(check_predictions(mended, ANNOTATIONS, split="test", classes=CLASSES)) == []


@given(rows)
def test_right_predictions_stay_the_same(good: Sequence[Detection]) -> None:
    before = Detections.from_lists(good)
    check = check_predictions(before, ANNOTATIONS, split="test", classes=CLASSES)
    assert faults(check) == []
    mended = mend(before, check)
    assert listed(mended) == listed(before)
    assert (mended.video_ids, mended.class_names) == (before.video_ids, before.class_names)
