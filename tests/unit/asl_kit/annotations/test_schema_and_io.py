import json

import pytest
from pydantic import ValidationError

from asl_kit.annotations import AnnotationSet, Segment, Source, Video, json_schema, read_annotations, write_annotations
from asl_kit.annotations.io import find_errors
from asl_kit.errors import AnnotationError, MissingFileError


def document(**changes):
    video = {"split": "test", "duration": 10.0, "segments": [{"start": 1.0, "end": 2.5, "labels": {"action": "run"}}]}
    fields = {
        "format": "asl-kit/annotations",
        "version": 1,
        "dataset": "d",
        "source": {"converter": "csv", "asl_kit": "0.1.0"},
        "vocabularies": {"action": ["jump", "run"]},
        "videos": {"a": video},
    }
    return fields | changes


def video(**changes):
    return {"a": document()["videos"]["a"] | changes}


def segment(**changes):
    return video(segments=[{"start": 1.0, "end": 2.5, "labels": {"action": "run"}} | changes])


def save(tmp_path, fields):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(fields))
    return path


FAULTS = {
    "end before start": (
        segment(end=0.5),
        r"videos\.a\.segments\.0\.end: must be after the start \(1\.0\), found 0\.5",
    ),
    "no length": (segment(end=1.0), r"videos\.a\.segments\.0\.end: must be after the start"),
    "start below 0": (segment(start=-0.1), r"videos\.a\.segments\.0\.start: .*greater than or equal to 0"),
    "beyond the duration": (
        segment(end=10.2),
        r"segments\.0\.end: must be within the video's duration \(10\.0\), found 10\.2",
    ),
    "NaN": (segment(end=float("nan")), r"videos\.a\.segments\.0\.end: .*finite number, found nan"),
    "a number as text": (segment(end="2.5"), r"videos\.a\.segments\.0\.end: .*valid number, found '2\.5'"),
    "unknown label": (
        segment(labels={"action": "fly"}),
        r"segments\.0\.labels\.action: not in the vocabulary, found 'fly'",
    ),
    "unknown vocabulary": (
        segment(labels={"verb": "run"}),
        r"segments\.0\.labels: must be one of the vocabularies action",
    ),
    "no label": (segment(labels={}), r"segments\.0\.labels: .*at least 1 item"),
    "unknown key": (video(durations=3), r"videos\.a\.durations: unknown key"),
    "missing key": ({"a": {"split": "x", "duration": 1.0}}, r"videos\.a\.segments: missing"),
    "no duration": (video(duration=0.0, segments=[]), r"videos\.a\.duration: .*greater than 0, found 0\.0"),
    "ignored backwards": (
        video(ignored=[{"start": 3.0, "end": 2.0, "reason": "r"}]),
        r"videos\.a\.ignored\.0\.end: must be after",
    ),
}


@pytest.mark.parametrize(("videos", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named(tmp_path, videos, message):
    path = save(tmp_path, document(videos=videos))
    with pytest.raises(AnnotationError, match=message) as caught:
        read_annotations(path)
    assert str(path) in caught.value.message
    assert len(find_errors(path)) == 1


def test_repeated_class_is_named(tmp_path):
    path = save(tmp_path, document(vocabularies={"action": ["run", "jump", "run"]}))
    with pytest.raises(AnnotationError, match=r"vocabularies\.action: a class name appears twice, found 'run'"):
        read_annotations(path)


def test_all_faults_at_once_even_beside_wrong_types(tmp_path):
    videos = {"a": segment(start="1")["a"], "b": segment(end=99.0)["a"], "c": segment(labels={"action": "fly"})["a"]}
    path = save(tmp_path, document(videos=videos))
    with pytest.raises(AnnotationError, match="3 errors") as caught:
        read_annotations(path)
    for place in ("videos.a.segments.0.start", "videos.b.segments.0.end", "videos.c.segments.0.labels.action"):
        assert place in caught.value.message


NOT_OURS = {
    "other format": (document(format="coco"), r"format: must be 'asl-kit/annotations', found 'coco'"),
    "a list": ([1], r"format: must be .*, found a list"),
    "newer version": (document(version=2), r"annotation format version is 2, .* reads version 1"),
    "version as text": (document(version="1"), r"annotation format version is '1', .* reads version 1"),
    "version true": (document(version=True), r"annotation format version is True, .* reads version 1"),
}


@pytest.mark.parametrize(("fields", "message"), NOT_OURS.values(), ids=NOT_OURS)
def test_other_format_is_refused(tmp_path, fields, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_annotations(save(tmp_path, fields))
    assert caught.value.hint


def test_activitynet_file_gets_the_right_hint(tmp_path):
    with pytest.raises(AnnotationError) as caught:
        read_annotations(save(tmp_path, {"database": {}}))
    assert "convert activitynet-json" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not a JSON file"),
        (b"\xff\xfe\xfa", "not a JSON file"),
        (b'{"a": 1, "a": 2}', "'a' appears twice"),
        (b"", "not a JSON file"),
        (b"[" + b"9" * 5000 + b"]", "not a JSON file"),
        (rb'{"a": "\ud800"}', "surrogates not allowed"),
        (b'{"a": "\xed\xa0\x80"}', "not a JSON file: .utf-8. codec can.t decode"),
    ],
    ids=["truncated", "not UTF-8", "key twice", "empty", "endless integer", "half a character", "its bytes"],
)
def test_unreadable_file(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        read_annotations(path)


def test_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match="no such file"):
        read_annotations(tmp_path / "none.json")


def test_end_within_the_tolerance_is_sound(tmp_path):
    assert read_annotations(save(tmp_path, document(videos=segment(end=10.05)))).videos["a"].segments[0].end == 10.05


def test_construction_in_code_is_checked_too():
    videos = {"a": Video(split="x", duration=1.0, segments=[Segment(start=0.0, end=2.0, labels={"action": "run"})])}
    with pytest.raises(ValidationError, match="within the video's duration"):
        AnnotationSet(
            dataset="d", source=Source(converter="c", asl_kit="0"), vocabularies={"action": ["run"]}, videos=videos
        )


def test_bytes_do_not_depend_on_the_order_given(tmp_path):
    first, second = ({"start": s, "end": s + 1.0, "labels": {"action": "run"}} for s in (1.0, 3.0))
    entry = video()["a"]
    one = document(videos={"b": entry | {"segments": [second, first]}, "a": entry})
    two = document(videos={"a": entry, "b": entry | {"segments": [first, second]}})
    texts = []
    for fields in (one, two):
        write_annotations(AnnotationSet.model_validate(fields), tmp_path / "out.json")
        texts.append((tmp_path / "out.json").read_bytes())
    assert texts[0] == texts[1]
    assert texts[0].count(b'"start"') == 3
    assert max(line.count(b'"start"') for line in texts[0].splitlines()) == 1


def test_empty_and_absent_segments_stay_apart(tmp_path):
    fields = document(videos={"a": video(segments=[])["a"], "b": video(segments=None)["a"]})
    write_annotations(AnnotationSet.model_validate(fields), tmp_path / "out.json")
    videos = read_annotations(tmp_path / "out.json").videos
    assert (videos["a"].segments, videos["b"].segments) == ([], None)


def test_split_and_classes():
    annotations = AnnotationSet.model_validate(document())
    assert list(annotations.split("test")) == ["a"]
    assert annotations.classes() == annotations.classes("action") == ["jump", "run"]
    with pytest.raises(AnnotationError, match="no video in split 'val'; the splits are: test"):
        annotations.split("val")
    with pytest.raises(AnnotationError, match="no video in split 'val'"):
        annotations.split("test, val")
    assert annotations.split("test,test") == annotations.split("test")
    with pytest.raises(AnnotationError, match="no vocabulary 'verb'; there are: action"):
        annotations.classes("verb")
    with pytest.raises(AnnotationError, match="no vocabulary 'Action'") as caught:
        annotations.classes("Action")
    assert caught.value.hint == "Did you mean 'action'?"
    several = AnnotationSet.model_validate(document(vocabularies={"action": ["run"], "noun": ["cup"]}))
    with pytest.raises(AnnotationError, match=r"several vocabularies \(action, noun\)") as caught:
        several.classes()
    assert caught.value.hint == "Name one of them with --vocabulary NAME."


def test_json_schema_names_the_required_fields():
    schema = json_schema()
    assert schema["title"] == "asl-kit/annotations version 1"
    assert set(schema["required"]) == {"format", "version", "dataset", "source", "vocabularies", "videos"}
