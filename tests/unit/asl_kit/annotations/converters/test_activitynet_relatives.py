"""Converters of ActivityNet 1.2 and 1.3, HACS and FineAction: the layouts that people have, and damaged files."""

import json

import pytest

from asl_kit.annotations.converters import activitynet, activitynet12, fineaction, hacs, thumos14
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, AslKitError, MissingFileError
from asl_kit.manifests.files import load_manifest

CONVERTERS = {
    "activitynet": activitynet,
    "activitynet12": activitynet12,
    "fineaction": fineaction,
    "hacs": hacs,
    "thumos14": thumos14,
}


def run(name, *sources):
    report = ConversionReport(name)
    manifest = load_manifest(name)
    annotations = CONVERTERS[name].convert(sources, manifest=manifest, report=report)
    report.compare(annotations, manifest)
    assert not any("kept and" in line for line in report.differences)
    return annotations, report


def write(tmp_path, document, name="source.json"):
    path = tmp_path / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def entry(*segments, subset="training", duration=10.0, **more):
    annotations = [{"label": label, "segment": [start, end]} for start, end, label in segments]
    return {"subset": subset, "duration": duration, "annotations": annotations} | more


def bsn_entry(*segments, duration=10.0, frames=300):
    annotations = [{"label": label, "segment": [start, end]} for start, end, label in segments]
    return {"duration_second": duration, "duration_frame": frames, "annotations": annotations, "feature_frame": 288}


BSN_COLUMNS = "video,numFrame,seconds,fps,rfps,subset,featureFrame\n"


def test_blocked_videos_are_left_out_and_counted(tmp_path):
    database = {"a": entry((1.0, 2.0, "BMX")), "b": entry((1.0, 2.0, "BMX"), (3.0, 4.0, "Sumo"), subset="validation")}
    annotations, report = run(
        "activitynet", write(tmp_path, ["b", "c"], "blocked.json"), write(tmp_path, {"database": database})
    )
    assert list(annotations.videos) == ["a"]
    assert [(item.outcome, item.kind, item.video) for item in report.items] == [
        ("excluded", "video", "b"),
        ("excluded", "segment", "b"),
        ("excluded", "segment", "b"),
    ]
    assert (report.videos_read, report.segments_read) == (2, 3)
    assert report.notes == ["1 ids in lists of blocked videos are not among the annotations"]
    assert [file.name for file in annotations.source.files] == ["blocked.json", "source.json"]


def test_taxonomy_is_ignored_whatever_it_holds(tmp_path):
    for taxonomy in ([{"nodeName": "BMX", "parentName": "Sports"}], {}, None, "tree"):
        path = write(tmp_path, {"version": "1.3", "taxonomy": taxonomy, "database": {"a": entry((1.0, 2.0, "BMX"))}})
        annotations, report = run("activitynet", path)
        assert len(annotations.videos["a"].segments) == 1
        assert report.notes == []


def test_bsn_takes_splits_from_its_table(tmp_path):
    document = {"v_a": bsn_entry((1.0, 12.0, "BMX")), "v_v_b": bsn_entry(), "v_c": bsn_entry((2.0, 3.0, "Sumo"))}
    table = write(
        tmp_path,
        BSN_COLUMNS + "v_a,300,10,30.0,30.0,training,288\nv_v_b,300,10,30,30,testing,288\nv_c,1,1,0,1,validation,1\n",
        "video_info_new.csv",
    )
    annotations, report = run("activitynet", table, write(tmp_path, document))
    videos = annotations.videos
    assert [(videos[name].split, videos[name].fps, videos[name].frames) for name in ("a", "c", "v_b")] == [
        ("training", 30.0, 300),
        ("validation", None, 300),
        ("testing", 30.0, 300),
    ]
    assert (videos["a"].segments[0].end, videos["v_b"].segments) == (10.0, None)
    assert sorted((item.outcome, item.kind, item.video) for item in report.items) == [
        ("changed", "segment", "a"),
        ("changed", "video", "c"),
    ]


BSN_FAULTS = {
    "no table": ({"v_a": bsn_entry()}, None, r"video 'a': the subset is missing"),
    "not in the table": (
        {"v_a": bsn_entry(), "v_b": bsn_entry()},
        "v_a,1,1,1,1,training,1\n",
        r"video 'b': the subset",
    ),
    "twice": ({"v_a": bsn_entry(), "a": bsn_entry()}, "v_a,1,1,1,1,training,1\n", r"video 'a' is given twice"),
    "entry": ({"v_a": bsn_entry(), "v_b": 7}, "v_a,1,1,1,1,training,1\n", r"video 'b': must be a table, found 7"),
}


@pytest.mark.parametrize(("document", "rows", "message"), BSN_FAULTS.values(), ids=BSN_FAULTS)
def test_bsn_faults(tmp_path, document, rows, message):
    sources = [write(tmp_path, document)]
    if rows is not None:
        sources.append(write(tmp_path, BSN_COLUMNS + rows, "video_info_new.csv"))
    with pytest.raises(AnnotationError, match=message):
        run("activitynet", *sources)


def test_table_of_another_kind_is_refused(tmp_path):
    path = write(tmp_path, {"database": {"a": entry((1.0, 2.0, "BMX"))}})
    table = write(tmp_path, "name,length\na,1\n", "other.csv")
    with pytest.raises(AnnotationError, match=r"other\.csv:1: column 'video' is missing; column 'subset' is missing"):
        run("activitynet", path, table)


def test_releases_have_their_own_names(tmp_path):
    path = write(tmp_path, {"database": {"a": entry((1.0, 2.0, "Playing volleyball"), (3.0, 4.0, "Volleyball"))}})
    for name, label in (("activitynet12", "Playing volleyball"), ("activitynet", "Volleyball")):
        annotations, report = run(name, path)
        assert [segment.labels["action"] for segment in annotations.videos["a"].segments] == [label]
        assert [(item.outcome, item.kind) for item in report.items] == [("dropped", "segment")]
        assert annotations.dataset == load_manifest(name).name


def test_hacs_reads_numbers_that_are_text(tmp_path):
    database = {
        "a": entry(("1.5", "20.25", "Dodgeball"), duration="20.25"),
        "b": entry(subset="testing", duration="7"),
        "c": entry(duration="9.5"),
        "d": entry(("nan", "2", "Sumo"), (1.0, 2.0, "Sumo"), duration="nan"),
    }
    annotations, report = run("hacs", write(tmp_path, {"database": database}))
    videos = annotations.videos
    assert [videos[name].duration for name in "abcd"] == [20.25, 7.0, 9.5, 2.0]
    assert (videos["a"].segments[0].start, videos["a"].segments[0].end) == (1.5, 20.25)
    assert [videos[name].segments for name in "bc"] == [None, []]
    assert sorted((item.outcome, item.kind, item.video, item.reason.partition(":")[0]) for item in report.items) == [
        ("changed", "video", "d", "duration"),
        ("dropped", "segment", "d", "annotations.0.start"),
    ]


def test_hacs_clips_are_another_task(tmp_path):
    clips = write(tmp_path, "classname,youtube_id,subset,start,end,label\nArchery,x,training,1,3,1\n", "clips.csv")
    with pytest.raises(AnnotationError, match=r"clips\.csv: HACS Clips labels clips of two seconds") as caught:
        run("hacs", clips)
    assert "HACS_segments_v1.1.1.json" in caught.value.hint


FINEACTION_ORDERS = {
    "by label_id": ([("kick", 0), ("hug", 1)], ["kick", "hug"]),
    "without label_id": ([("kick", None), ("hug", None)], ["hug", "kick"]),
    "from 1": ([("kick", 1), ("hug", 2)], ["hug", "kick"]),
}


@pytest.mark.parametrize(("labels", "order"), FINEACTION_ORDERS.values(), ids=FINEACTION_ORDERS)
def test_fineaction_takes_its_classes_from_the_file(tmp_path, labels, order):
    video = entry()
    video["annotations"] = [
        {"label": label, "segment": [1.0, 2.0]} | ({} if label_id is None else {"label_id": label_id})
        for label, label_id in labels
    ]
    annotations, report = run("fineaction", write(tmp_path, {"database": {"v_1": video}}))
    assert annotations.classes() == order
    assert "vocabulary action: 106 classes expected, 2 found" in report.differences


def test_fineaction_facts_of_videos(tmp_path):
    facts = {"filename": "v_1.mp4", "fps": 25, "frame_num": 250.0}
    annotations, report = run("fineaction", write(tmp_path, {"database": {"v_1": entry((1.0, 2.0, "hug"), **facts)}}))
    video = annotations.videos["v_1"]
    assert (video.path, video.fps, video.frames) == ("v_1.mp4", 25.0, 250)
    assert (report.notes, report.items) == ([], [])


DOUBTS = {
    "duration": ({"duration": -1}, "duration: must be a number above 0, found -1"),
    "duration of another type": ({"duration": [3]}, r"duration: must be a number above 0, found [3]"),
    "fps": ({"fps": "fast"}, "fps: must be a number above 0, found 'fast'"),
    "frames": ({"frame_num": 2.5}, "frame_num: must be a whole number above 0, found 2.5"),
    "huge": ({"frame": "1e999"}, "frame: must be a whole number above 0, found '1e999'"),
    "file": ({"filename": 3}, "filename: must be a text, found 3"),
}


@pytest.mark.parametrize(("facts", "reason"), DOUBTS.values(), ids=DOUBTS)
def test_facts_that_cannot_be_right_count_as_not_stated(tmp_path, facts, reason):
    annotations, report = run("fineaction", write(tmp_path, {"database": {"v": entry((1.0, 2.0, "hug")) | facts}}))
    assert len(annotations.videos["v"].segments) == 1
    assert [(item.outcome, item.kind, item.reason) for item in report.items] == [
        ("changed", "video", f"{reason}: taken as not stated")
    ]


def test_vsgn_file_of_thumos14(tmp_path):
    annotations = [{"segment": ["18.6", "24.8"], "label": "HighJump"}]
    database = {"video_test_0000896": {"subset": "test", "annotations": annotations}}
    video = run("thumos14", write(tmp_path, {"database": database}))[0].videos["video_test_0000896"]
    assert (video.split, video.duration, video.segments[0].start) == ("test", 24.8, 18.6)


DAMAGED = {
    "empty": (b"", "not a JSON file"),
    "cut": (b'{"database": {"a": {"subset": "training", "dur', "not a JSON file"),
    "binary": (bytes(range(256)), "not a JSON file"),
    "nested too deep": (b'{"database": ' * 100_000, "not a JSON file"),
    "key twice": (b'{"database": {"a": {}, "a": {}}}', "the key .a. appears twice in one object"),
    "scalar": (b"7", "database: missing"),
    "no table": (b'{"database": [1, 2]}', "database: missing"),
    "no videos": (b'{"database": {}}', "no video in source.json"),
    "video": (b'{"database": {"a": 3}}', "video 'a': must be a table, found 3"),
    "annotations": (b'{"database": {"a": {"annotations": {"label": 1}}}}', "annotations: must be a list"),
    "annotation": (b'{"database": {"a": {"annotations": [5]}}}', "annotations.0: must be a table, found 5"),
    "label": (b'{"database": {"a": {"annotations": [{"segment": [1, 2]}]}}}', "annotations.0.label: must be the name"),
    "segment": (b'{"database": {"a": {"annotations": [{"label": "BMX"}]}}}', r"annotations.0.segment: must be"),
}


@pytest.mark.parametrize("name", CONVERTERS)
@pytest.mark.parametrize(("data", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_are_one_message(tmp_path, name, data, message):
    path = tmp_path / "source.json"
    path.write_bytes(data)
    with pytest.raises(AslKitError, match=message):
        run(name, path)


@pytest.mark.parametrize("name", CONVERTERS)
def test_missing_files(tmp_path, name):
    with pytest.raises(MissingFileError, match=r"none\.json: no such file"):
        run(name, tmp_path / "none.json")


@pytest.mark.parametrize("name", ["activitynet", "activitynet12"])
def test_lists_that_are_not_of_blocked_videos(tmp_path, name):
    path = write(tmp_path, {"database": {"a": entry((1.0, 2.0, "Zumba"))}})
    with pytest.raises(AnnotationError, match=r"list\.json: expected a list of the ids of blocked videos, found"):
        run(name, path, write(tmp_path, ["a", {"id": "b"}], "list.json"))
    with pytest.raises(AnnotationError, match=r"no video in list\.json"):
        run(name, write(tmp_path, ["a"], "list.json"))
