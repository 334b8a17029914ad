import json

import pytest
from helpers.support import GOLDEN, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations.converters.via import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, AslKitError

TEXT, CHECKBOX, RADIO, SELECT = 1, 2, 3, 4


def attribute(name="action", kind=SELECT, anchor="FILE1_Z2_XY0", **options):
    return {"aname": name, "anchor_id": anchor, "type": kind, "desc": "", "options": options, "default_option_id": ""}


def project(**changes):
    """Return a project of one video with one segment, of one attribute."""
    tables = {
        "project": {"vid_list": ["1"]},
        "config": {},
        "attribute": {"1": attribute(x="run", y="walk")},
        "file": {"1": {"fid": 1, "fname": "a.mp4", "type": 4, "loc": 1, "src": ""}},
        "view": {"1": {"fid_list": [1]}},
        "metadata": {"m": segment()},
    }
    return tables | changes


def segment(start=1, end=2.5, values=None, **changes):
    return {"vid": "1", "flg": 0, "z": [start, end], "xy": [], "av": {"1": "x"} if values is None else values} | changes


def run(tmp_path, *documents, table=None):
    sources = []
    for number, document in enumerate(documents):
        path = tmp_path / f"{number}.json"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        sources.append(path)
    if table is not None:
        sources.append(tmp_path / "durations.csv")
        sources[-1].write_text(table)
    report = ConversionReport("via")
    return convert(sources, manifest=None, report=report), report


def labels_of(annotations, video="a"):
    return [item.labels for item in annotations.videos[video].segments]


def test_one_attribute_is_the_vocabulary_action(tmp_path):
    others = {"1": attribute(x="run"), "2": attribute("box", anchor="FILE1_Z1_XY1", z="left")}
    annotations, report = run(tmp_path, project(attribute=others))
    (item,) = annotations.videos["a"].segments
    assert (item.start, item.end, item.labels) == (1.0, 2.5, {"action": "run"})
    assert annotations.vocabularies == {"action": ["run"]}
    report.compare(annotations, None)
    assert (report.items, report.differences) == ([], [])


LABELS = {
    "select": (attribute(x="run"), "x", [{"action": "run"}]),
    "radio": (attribute(kind=RADIO, **{"0": "run"}), "0", [{"action": "run"}]),
    "text": (attribute(kind=TEXT), " run, fast ", [{"action": "run, fast"}]),
    "select without options": (attribute(), "run", [{"action": "run"}]),
    "one tick": (attribute(kind=CHECKBOX, x="run", y="walk"), "y", [{"action": "walk"}]),
    "two ticks": (attribute(kind=CHECKBOX, x="run", y="walk"), "x,y", [{"action": "run"}, {"action": "walk"}]),
    "a tick taken back": (attribute(kind=CHECKBOX, x="run"), ",x,x", [{"action": "run"}]),
}


@pytest.mark.parametrize(("asked", "value", "expected"), LABELS.values(), ids=LABELS)
def test_labels(tmp_path, asked, value, expected):
    metadata = {"m": segment(values={"1": value})}
    annotations, report = run(tmp_path, project(attribute={"1": asked}, metadata=metadata))
    assert labels_of(annotations) == expected
    report.compare(annotations, None)
    assert (report.items, report.differences) == ([], [])


def test_several_attributes_are_vocabularies(tmp_path):
    asked = {"1": attribute("verb", x="cut"), "2": attribute("object", CHECKBOX, x="bread", y="knife")}
    metadata = {"m": segment(values={"1": "x", "2": "x,y"}), "n": segment(3, 4, {"1": "", "2": "y"})}
    annotations, _ = run(tmp_path, project(attribute=asked, metadata=metadata))
    assert labels_of(annotations) == [
        {"verb": "cut", "object": "bread"},
        {"verb": "cut", "object": "knife"},
        {"object": "knife"},
    ]


def test_value_that_is_no_option_is_reported(tmp_path):
    annotations, report = run(tmp_path, project(metadata={"m": segment(values={"1": "gone"})}))
    assert labels_of(annotations) == [{"action": "gone"}]
    assert [(item.outcome, item.reason) for item in report.items] == [
        ("flagged", "'gone' is no option (x, y): taken as the label")
    ]


def test_video_without_segments_has_no_action(tmp_path):
    annotations, _ = run(tmp_path, project(metadata={}), table="video,duration,fps\na.mp4,9,25\nother,3,\n")
    video = annotations.videos["a"]
    assert (video.segments, video.duration, video.fps) == ([], 9.0, 25.0)
    assert list(annotations.videos) == ["a"]
    with pytest.raises(AnnotationError, match=r"0\.json: video 'a': duration: not stated, .* table video,duration"):
        run(tmp_path, project(metadata={}))


def test_projects_of_the_same_video_are_taken_together(tmp_path):
    annotations, report = run(tmp_path, project(), project(metadata={"m": segment(5, 6)}))
    assert [item.start for item in annotations.videos["a"].segments] == [1.0, 5.0]
    assert report.videos_read == 1


def changed(table, key, **changes):
    document = project()
    document[table] = {key: document[table][key] | changes}
    return document


FAULTS = {
    "empty": (b"", r"0\.json: not a JSON file"),
    "binary": (b"\x89PNG\r\n\x00", r"0\.json: not a JSON file"),
    "a list": ([], r"0\.json: not a project of VIA 3: expected the tables attribute, file, view, metadata"),
    "a table missing": ({"attribute": {}, "file": {}, "view": {}}, r"expected the tables metadata$"),
    "VIA 2": ({"_via_img_metadata": {}}, r"0\.json: a project of VIA 2, which has no times"),
    "key twice": (b'{"file": {}, "file": {}}', r"the key 'file' appears twice"),
    "file no table": (project(file={"1": "a.mp4"}), r"file '1': must be a table, found 'a\.mp4'"),
    "file without name": (changed("file", "1", fname=None), r"view '1': fid_list: 1 is not a file with a name"),
    "no such file": (changed("view", "1", fid_list=[7]), r"view '1': fid_list: 7 is not a file"),
    "two files in a view": (changed("view", "1", fid_list=[1, 1]), r"view '1': fid_list: must be one file"),
    "no list of files": (changed("view", "1", fid_list="1"), r"view '1': fid_list: must be one file.*found '1'"),
    "two files of one name": (
        project(
            file={"1": {"fname": "x/a.mp4", "type": 4}, "2": {"fname": "a.avi", "type": 4}},
            view={"1": {"fid_list": [1]}, "2": {"fid_list": [2]}},
        ),
        r"view '2': video 'a': another file has the same name",
    ),
    "no such view": (changed("metadata", "m", vid="7"), r"metadata 'm': vid: must be a view, found '7'"),
    "view no text": (changed("metadata", "m", vid=[1]), r"metadata 'm': vid: must be a view, found \[1\]"),
    "no times": (changed("metadata", "m", z=None), r"metadata 'm': video 'a': must have lists z and xy"),
    "three times": (changed("metadata", "m", z=[1, 2, 3]), r"z: must be start and end, found 3 times"),
    "time no number": (changed("metadata", "m", z=["1", 2]), r"video 'a': start: must be a finite number, found '1'"),
    "time not finite": (changed("metadata", "m", z=[1, float("nan")]), r"end: must be a finite number, found nan"),
    "time huge": (changed("metadata", "m", z=[1, 10**400]), r"end: must be a finite number"),
    "end before start": (changed("metadata", "m", z=[3, 2]), r"end: must be after the start \(3\.0\), found 2\.0"),
    "no attribute": (
        project(attribute={}),
        r"av: no value for the attribute of temporal segments: the project has none",
    ),
    "label no text": (changed("metadata", "m", av={"1": 3}), r"av\.1: must be the id of an option, or a text, found 3"),
    "attribute without name": (project(attribute={"1": attribute("")}), r"attribute '1': aname: must be a name"),
    "attributes of one name": (
        project(attribute={"1": attribute(x="run"), "2": attribute()}),
        r"attribute '2': aname: two attributes have the name 'action'",
    ),
    "options no names": (
        project(attribute={"1": attribute(x=[1])}),
        r"attribute '1': options: must be a table of names",
    ),
    "too many ticks": (
        project(
            attribute={str(n): attribute(f"q{n}", CHECKBOX) for n in range(40)},
            metadata={"m": segment(values={str(n): "a,b,c" for n in range(40)})},
        ),
        r"av: \d+ combinations of ticked options",
    ),
}


@pytest.mark.parametrize(("document", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(tmp_path, document, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, document)


def test_all_faults_at_once(tmp_path):
    metadata = {"m": segment(3, 2), "n": segment(values={}), "o": segment(vid="9"), "p": segment()}
    with pytest.raises(AnnotationError, match="2 errors") as caught:
        run(tmp_path, project(metadata=metadata))
    assert [f"metadata '{name}'" in caught.value.message for name in "mnop"] == [True, False, True, False]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_file_is_one_message(tmp_path, data):
    content = (GOLDEN / "via" / "raw" / "kitchen.json").read_bytes()
    try:
        annotations, report = run(tmp_path, data.draw(damage(content)), table="video,duration\nnoon 1,9\n")
    except AslKitError:
        return
    report.compare(annotations, None)
    assert report.differences == []


def test_a_segment_without_a_label_is_reported_and_the_rest_is_read(tmp_path):
    annotations, report = run(tmp_path, project(metadata={"m": segment(), "n": segment(values={})}))
    assert len(labels_of(annotations)) == 1
    (item,) = report.items
    assert (item.outcome, item.reason) == ("excluded", "no value for the attribute 'action'")
    report.compare(annotations, None)
    assert report.differences == []
