"""Whatever annotations hold, writing, reading and exporting keep it."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from asl_kit.annotations import AnnotationSet, canonical, read_annotations, write_annotations
from asl_kit.annotations.converters import activitynet_json, csv_table
from asl_kit.annotations.export import to_activitynet, to_csv
from asl_kit.annotations.io import to_text
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import Segment, Source, Video

NAMES = (
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=8)
    .map(str.strip)
    .filter(bool)
)
SECONDS = st.floats(0, 1e5, allow_subnormal=False)
LENGTHS = st.floats(1e-3, 1e3)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda values: st.lists(values, max_size=2) | st.dictionaries(st.text(max_size=3), values, max_size=2),
    max_leaves=4,
)


@st.composite
def annotation_sets(draw):
    vocabularies = draw(
        st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=4, unique=True), min_size=1, max_size=2)
    )
    labels = st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(classes) for name, classes in vocabularies.items()}
    )
    videos = {}
    for video_id in draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)):
        times = draw(st.lists(st.tuples(SECONDS, LENGTHS), max_size=4))
        segments = [
            {
                "start": start,
                "end": start + length,
                "labels": draw(labels.filter(bool)),
                "attributes": draw(st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=2)),
            }
            for start, length in times
        ]
        ignored = [{"start": start, "end": start + length, "reason": "hard to say"} for start, length in times[:1]]
        videos[video_id] = {
            "split": draw(NAMES),
            "duration": max((start + length for start, length in times), default=0.0) + 1.0,
            "fps": draw(st.none() | st.floats(1.0, 240.0)),
            "frames": draw(st.none() | st.integers(1, 10**6)),
            "path": draw(st.none() | NAMES),
            "attributes": draw(st.dictionaries(st.text(max_size=3), JSON_VALUES, max_size=2)),
            "segments": segments or draw(st.sampled_from([None, []])),
            "ignored": ignored,
        }
    source = {"converter": "test", "asl_kit": "0", "notes": draw(st.lists(NAMES, max_size=1))}
    fields = {"dataset": "own", "source": source, "vocabularies": vocabularies, "videos": videos}
    return AnnotationSet.model_validate(fields)


@given(annotation_sets())
def test_written_is_read(annotations):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "annotations.json")
        write_annotations(annotations, path)
        first = path.read_bytes()
        assert read_annotations(path) == canonical(annotations)
        write_annotations(read_annotations(path), path)
        assert path.read_bytes() == first


def convert_back(converter, text, name):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(text, encoding="utf-8", newline="")
        report = ConversionReport("own")
        annotations = converter.convert([path], manifest=None, report=report)
        report.compare(annotations, None)
        assert report.differences == report.items == []
        return annotations


@given(annotation_sets())
def test_export_to_activitynet_comes_back_byte_for_byte(annotations):
    text, losses = to_activitynet(annotations)
    assert losses == []
    assert to_text(convert_back(activitynet_json, text, "x.json")) == to_text(canonical(annotations))


def test_a_class_may_be_named_like_a_missing_value_where_the_file_lists_it():
    segment = {"start": 0.0, "end": 1.0, "labels": {"action": "NULL"}}
    video = {"split": "train", "duration": 2.0, "segments": [segment], "ignored": []}
    source = {"files": [], "converter": "test", "asl_kit": "0"}
    fields = {"dataset": "own", "source": source, "vocabularies": {"action": ["NULL"]}, "videos": {"a": video}}
    annotations = AnnotationSet.model_validate(fields | {"format": "asl-kit/annotations", "version": 1})
    text, _ = to_activitynet(annotations)
    assert to_text(convert_back(activitynet_json, text, "x.json")) == to_text(canonical(annotations))


@given(annotation_sets())
def test_export_to_csv_keeps_times_labels_and_facts(annotations):
    text, losses = to_csv(annotations)
    if any("such as 'NA'" in loss for loss in losses):
        return  # what cannot be told from an empty cell does not come back
    expected = {}
    for video_id, video in canonical(annotations).videos.items():
        if video.segments is not None:
            bare = [segment.model_copy(update={"attributes": {}}) for segment in video.segments]
            expected[video_id] = video.model_copy(
                update={"frames": None, "ignored": [], "attributes": {}, "segments": bare}
            )
    if expected:
        kept = convert_back(csv_table, text, "x.csv").videos
        assert {name: sorted(map(str, video.segments)) for name, video in kept.items()} == {
            name: sorted(map(str, video.segments)) for name, video in expected.items()
        }
        without_segments = {"segments": None}
        assert {name: video.model_copy(update=without_segments) for name, video in kept.items()} == {
            name: video.model_copy(update=without_segments) for name, video in expected.items()
        }
    lost = [video for video in annotations.videos.values() if video.segments is None or video.ignored]
    assert bool(losses) >= bool(lost)


def test_export_to_csv_tells_of_what_reads_as_an_empty_cell():
    segments = [Segment(start=0.0, end=1.0, labels={"action": label}) for label in ("NA", "run")]
    videos = {"video": Video(split="train", duration=2.0, segments=segments)}
    source = Source(files=[], converter="test", asl_kit="0")
    annotations = AnnotationSet(dataset="own", source=source, vocabularies={"action": ["NA", "run"]}, videos=videos)
    assert to_csv(annotations)[1] == [
        "1 labels, splits or paths such as 'NA', which a table's reader takes for an empty cell"
    ]
