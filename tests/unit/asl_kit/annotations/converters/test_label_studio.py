import json

import pytest
from helpers.support import GOLDEN, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations.converters.label_studio import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, AslKitError


def frames(start=26, end=50, *names, **changes):
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": list(names or ["run"])}
    return {"id": "r", "type": "timelinelabels", "from_name": "videoLabels", "value": value | changes}


def sound(start=1, end=2, **changes):
    value = {"start": start, "end": end, "channel": 0, "labels": ["run"]}
    return {"id": "r", "type": "labels", "from_name": "tricks", "value": value} | changes


def annotation(*results, **changes):
    return {"id": 7, "completed_by": 1, "was_cancelled": False, "result": list(results)} | changes


def task(*annotations, data=None, **changes):
    video = {"video": "/data/upload/3/3d3ad63e-a.mp4", "fps": 25} if data is None else data
    return {"id": 5, "data": video, "annotations": list(annotations)} | changes


def run(tmp_path, *documents, table=None):
    sources = []
    for number, document in enumerate(documents):
        path = tmp_path / f"{number}.json"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        sources.append(path)
    if table is not None:
        sources.append(tmp_path / "videos.csv")
        sources[-1].write_text(table)
    report = ConversionReport("label-studio")
    annotations = convert(sources, manifest=None, report=report)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def times_of(annotations, video="a"):
    return [(item.start, item.end) for item in annotations.videos[video].segments]


RANGES = {
    "first second": ((1, 25), (0.0, 1.0)),
    "one frame": ((3, 3), (0.08, 0.12)),
    "next second": ((26, 50), (1.0, 2.0)),
    "floats that are whole": ((26.0, 50.0), (1.0, 2.0)),
}


@pytest.mark.parametrize(("found", "expected"), RANGES.values(), ids=RANGES)
def test_frames_are_counted_from_1_and_the_last_one_belongs_to_the_range(tmp_path, found, expected):
    annotations, _ = run(tmp_path, [task(annotation(frames(*found)))])
    assert times_of(annotations) == [expected]


def test_the_frame_rate_can_be_an_option_for_tasks_that_do_not_state_one(tmp_path):
    tasks = [
        task(annotation(frames(1, 50)), data={"video": name, **fps}) for name, fps in (("a", {}), ("b", {"fps": 10}))
    ]
    (tmp_path / "a.json").write_text(json.dumps(tasks))
    annotations = convert([tmp_path / "a.json"], manifest=None, report=ConversionReport("x"), fps=25.0)
    assert (times_of(annotations), times_of(annotations, "b")) == ([(0.0, 2.0)], [(0.0, 5.0)])


COUNTS = {"id": "b", "type": "videorectangle", "value": {"framesCount": 250, "duration": 10.0}}
RATES = {
    "data": ([task(annotation(frames(1, 50)))], None, 2.0),
    "data as text": ([task(annotation(frames(1, 50)), data={"video": "a.mp4", "frame_rate": "12.5"})], None, 4.0),
    "meta": ([task(annotation(frames(1, 50)), data={"video": "a.mp4"}, meta={"frameRate": 50})], None, 1.0),
    "table before data": ([task(annotation(frames(1, 50)))], "video,duration,fps\na.mp4,10,10\n", 5.0),
    "table without rate": ([task(annotation(frames(1, 50)))], "video,duration\na.mp4,10\n", 2.0),
    "counts of a region": ([task(annotation(frames(1, 50), COUNTS), data={"video": "a.mp4"})], None, 2.0),
}


@pytest.mark.parametrize(("document", "table", "end"), RATES.values(), ids=RATES)
def test_frame_rate(tmp_path, document, table, end):
    annotations, report = run(tmp_path, document, table=table)
    assert times_of(annotations) == [(0.0, end)]
    assert any("framesCount" in note for note in report.notes) == (document == RATES["counts of a region"][0])


VIDEOS = {
    "upload": ("/data/upload/3/3d3ad63e-a.b.mp4", "a.b"),
    "upload to a server": ("https://ls.example.org/data/upload/3/3d3ad63e-a.mp4", "a"),
    "eight digits not of an upload": ("s3://bucket/3d3ad63e-a.mp4", "3d3ad63e-a"),
    "local file": ("/data/local-files/?d=set%20a/b.mp4", "b"),
    "signed": ("https://x.org/v/c%201.webm?token=a/b.mp4", "c 1"),
    "name only": ("d.mp4", "d"),
    "a player in HTML": ("<video src='https://x.org/static/a.mp4' width=100% muted /><img src onerror=\"$=n\">", "a"),
    "nothing but digits": ("/data/upload/3/3d3ad63e-.mp4", "3d3ad63e-"),
}


@pytest.mark.parametrize(("location", "video_id"), VIDEOS.values(), ids=VIDEOS)
def test_video_is_named_by_its_file(tmp_path, location, video_id):
    annotations, _ = run(tmp_path, [task(annotation(sound()), data={"video": location})])
    assert list(annotations.videos) == [video_id]


DATA = {
    "video_url": {"title": "b.mp4", "video_url": "a.mp4"},
    "url": {"url": "a.mp4"},
    "the only video file": {"clip": "x/a.mov", "title": "A clip", "image": "a.jpg", "count": 3},
}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_entry_of_the_data_that_is_the_video(tmp_path, data):
    assert list(run(tmp_path, [task(annotation(sound()), data=data)])[0].videos) == ["a"]


def test_all_annotators_are_kept_and_told_apart(tmp_path):
    tasks = [task(annotation(frames()), annotation(sound(0, 1), completed_by={"id": 2, "email": "b@x.org"}))]
    annotations, _ = run(tmp_path, tasks)
    assert [item.attributes["annotator"] for item in annotations.videos["a"].segments] == [2, 1]


def test_region_of_several_labels_is_a_segment_for_each(tmp_path):
    annotations, report = run(tmp_path, [task(annotation(frames(1, 25, "run", "jump", "run")))])
    assert [item.labels["action"] for item in annotations.videos["a"].segments] == ["jump", "run"]
    assert report.segments_read == 2


def test_what_is_no_segment_is_reported(tmp_path):
    cancelled = annotation(frames(), was_cancelled=True)
    others = [{"id": "c", "type": "choices", "value": {"choices": ["x"]}}, {"type": "relation", "from_id": "r"}]
    tasks = [task(annotation(frames(), *others), cancelled, predictions=[{"result": [frames()]}], drafts=[{}])]
    annotations, report = run(tmp_path, tasks)
    assert times_of(annotations) == [(1.0, 2.0)]
    assert [item.reason for item in report.items] == [
        "of type 'choices', not a time range with a label",
        "of type 'relation', not a time range with a label",
        "of a cancelled annotation",
    ]
    assert {"1 predictions are left out", "1 drafts are left out", "1 cancelled annotations are left out"} <= {
        *report.notes
    }


def test_annotated_without_action_not_annotated_and_skipped(tmp_path):
    tasks = [
        task(annotation(), data={"video": "none.mp4", "duration": 9}),
        task(data={"video": "later.mp4", "duration": "8"}),
        task(annotation(was_cancelled=True), data={"video": "skipped.mp4"}),
    ]
    annotations, report = run(tmp_path, tasks)
    assert {name: (video.segments, video.duration) for name, video in annotations.videos.items()} == {
        "none": ([], 9.0),
        "later": (None, 8.0),
    }
    assert [(item.outcome, item.kind, item.video) for item in report.items] == [("excluded", "video", "skipped")]


def test_duration_of_the_sound(tmp_path):
    annotations, _ = run(tmp_path, [task(annotation(sound(original_length=33.25)))])
    assert annotations.videos["a"].duration == 33.25


def test_minimal_export(tmp_path):
    entry = {"id": 1, "video": "a.mp4", "fps": 25, "videoLabels": [frames()["value"]], "annotator": 3, "lead_time": 1.5}
    annotations, _ = run(tmp_path, [entry, {**entry, "videoLabels": [], "annotator": 4}])
    (item,) = annotations.videos["a"].segments
    assert (item.start, item.end, item.attributes) == (1.0, 2.0, {"annotator": 3, "control": "videoLabels"})


def test_one_task_alone(tmp_path):
    assert times_of(run(tmp_path, task(annotation(frames())))[0]) == [(1.0, 2.0)]


def value(start=26, end=50, **changes):
    return [task(annotation(frames(start, end, **changes)))]


FAULTS = {
    "empty": (b"", r"0\.json: not a JSON file"),
    "binary": (b"\x00\x01\xff", r"0\.json: not a JSON file"),
    "a number": (3, r"0\.json: not an export of Label Studio: expected a list of tasks"),
    "tasks no tables": ([3], r"not an export of Label Studio"),
    "no tasks": ([], r"no video in 0\.json"),
    "skipped tasks alone": (
        [task(annotation(was_cancelled=True))],
        r"no video in 0\.json: .*0\.json: task .*: video 'a': not annotated, and its duration is not stated",
    ),
    "annotations no list": ([task(annotations={"a": 1})], r"task 5: annotations: must be a list of tables"),
    "result no list": ([task(annotation(result="x"))], r"task 5: result: must be a list of tables, found 'x'"),
    "value no table": ([task(annotation({"value": 3}))], r"task 5: value: must be a table, found 3"),
    "no video": (
        [task(annotation(frames()), data={"text": "x"})],
        r"task 5: data: names no video; expected one of the",
    ),
    "which video": ([task(annotation(frames()), data={"l": "a.mp4", "r": "b.mp4"})], r"task 5: data: names no video"),
    "no frame rate": (
        [task(annotation(frames(), frames()), data={"video": "a.mp4"})],
        r"0\.json: task 5, annotation 7, region 'r': video 'a': frames per second: not stated; give the frameRate",
    ),
    "frame rate 0": ([task(annotation(frames()), data={"video": "a.mp4", "fps": 0})], r"frames per second: not stated"),
    "frame 0": (value(start=0), r"video 'a': ranges: must be frame numbers from 1, .* found \{'start': 0"),
    "half a frame": (value(end=30.5), r"ranges: must be frame numbers from 1"),
    "frame no number": (value(end="30"), r"ranges: must be frame numbers from 1"),
    "frame missing": (value(end=None), r"ranges: must be frame numbers from 1"),
    "frame huge": (value(end=10**400), r"ranges: must be frame numbers from 1"),
    "range no table": (value(ranges=[3]), r"ranges: must be frame numbers from 1.* found 3"),
    "no ranges": (value(ranges=[]), r"ranges: must be a list of ranges, found \[\]"),
    "end before start": (value(start=30, end=20), r"end: must be after the start"),
    "no label": (
        value(timelinelabels=[]),
        r"region 'r': video 'a': timelinelabels: must be names of classes, found \[\]",
    ),
    "label no text": (value(timelinelabels=[3]), r"timelinelabels: must be names of classes, found \[3\]"),
    "second no number": ([task(annotation(sound(start="1")))], r"start: must be a finite number, found '1'"),
    "second missing": ([task(annotation(sound(end=None)))], r"end: must be a finite number, found None"),
    "beyond the duration": (
        [task(annotation(sound(original_length=1.5)))],
        r"end: must be within the video's duration",
    ),
    "no action, no duration": ([task(annotation())], r"task 5: video 'a': duration: not stated.* table video,duration"),
    "two videos of one name": (
        [task(annotation(sound())), task(annotation(sound()), data={"video": "/data/upload/3/ffffffff-a.mp4"})],
        r"video 'a': another video has the same name: '/data/upload/3/ffffffff-a\.mp4' and '/data/upload/3/3d3ad63e",
    ),
}


@pytest.mark.parametrize(("document", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(tmp_path, document, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, document)


def test_an_unknown_frame_rate_is_said_once_a_video(tmp_path):
    tasks = [task(annotation(*[frames()] * 30), data={"video": f"{name}.mp4"}) for name in "ab"]
    with pytest.raises(AnnotationError, match="2 errors"):
        run(tmp_path, tasks)


TABLES = {
    "rate no number": (
        "video,duration,fps\na,9,x\n",
        r"videos\.csv:2: video 'a': fps: must be a number above 0, found 'x'",
    ),
    "duration 0": ("video,duration\na,0\n", r"videos\.csv:2: video 'a': duration: must be a number above 0, found '0'"),
    "video twice": ("video,duration\na,9\na.mp4,9\n", r"videos\.csv:3: video 'a': has a row already \(.*csv:2\)"),
    "no video": ("video,duration\n,9\n", r"videos\.csv:2: video: must be the name of a video"),
    "no duration column": ("video,fps\na,25\n", r"videos\.csv:1: column 'duration' is missing"),
}


@pytest.mark.parametrize(("table", "message"), TABLES.values(), ids=TABLES)
def test_fault_in_the_table_of_durations(tmp_path, table, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, [task(annotation(frames()))], table=table)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), sample=st.sampled_from(["label-studio/raw/export.json", "label-studio--audio/raw/tricks.json"]))
def test_damaged_file_is_one_message(tmp_path, data, sample):
    content = (GOLDEN / sample).read_bytes()
    try:
        run(tmp_path, data.draw(damage(content)), table="video,duration,fps\nkitchen 2,9,24\n")
    except AslKitError:
        return


def test_rectangles_alone_are_refused_and_not_taken_as_no_action(tmp_path):
    with pytest.raises(AnnotationError, match="has only regions of type videorectangle, which are not time ranges"):
        run(tmp_path, [task(annotation(COUNTS))])
