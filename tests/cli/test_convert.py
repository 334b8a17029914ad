"""`asl-kit convert` and `asl-kit annotations`: exit codes, one message on stderr, nothing half-written."""

import json

import pytest
from helpers.command_line import run
from helpers.support import add_video, make_features, make_spec, write_video

from asl_kit.annotations import read_annotations
from asl_kit.annotations.conversion import converter_names
from asl_kit.store import FeatureStore

ROWS = "video,start,end,label,split,duration\na,1,2,run,train,10\na,3,4,jump,,\nb,,,,test,5\n"


def invoke(*arguments):
    result = run(*arguments)
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(ROWS)
    return path


@pytest.fixture
def annotations(tmp_path, table):
    path = tmp_path / "annotations.json"
    assert invoke("convert", "csv", table, "-o", path).exit_code == 0
    return path


WRONG_INPUT = {
    "missing file": (None, 2, "own.csv: no such file"),
    "empty CSV": ("", 1, "own.csv: empty; expected a first line video,start,end,label[,split,duration,fps,path]"),
    "end before start": (
        ROWS + "c,5,4,run,train,9\n",
        1,
        "own.csv:5: video 'c': end: must be after the start (5.0), found 4.0",
    ),
    "beyond the duration": (
        ROWS + "c,5,9.5,run,train,9\n",
        1,
        "own.csv:5: video 'c': end: must be within the video's duration (9.0), found 9.5",
    ),
    "NaN": (
        ROWS + "c,nan,9.5,run,train,9\n",
        1,
        "own.csv:5: video 'c': start: empty (nan counts as empty), but end, label is given",
    ),
}


@pytest.mark.parametrize(("text", "exit_code", "message"), WRONG_INPUT.values(), ids=WRONG_INPUT)
def test_wrong_table_is_one_message(tmp_path, text, exit_code, message):
    path = tmp_path / "own.csv"
    if text is not None:
        path.write_text(text)
    result = invoke("convert", "csv", path, "-o", tmp_path / "out.json")
    assert result.exit_code == exit_code
    assert result.stderr.splitlines()[0] == f"error: {tmp_path}/{message}"
    assert result.stdout == ""
    assert not (tmp_path / "out.json").exists()


def test_convert_prints_counts_and_writes_the_report(tmp_path, table):
    result = invoke(
        "convert", "csv", table, "-o", tmp_path / "out.json", "--json", tmp_path / "report.json", "--strict"
    )
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["train", "1", "2", "0", "2", "0", "0"] in rows
    assert ["test", "1", "0", "0", "0", "1", "0"] in rows
    assert json.loads((tmp_path / "report.json").read_text())["segments_read"] == 2


def test_json_on_stdout_is_all_that_is_there(tmp_path, table):
    result = invoke("convert", "csv", table, "-o", tmp_path / "out.json", "--json", "-")
    assert (result.exit_code, result.stderr) == (0, f"wrote {tmp_path / 'out.json'}\n")
    assert json.loads(result.stdout)["counts"]["train"]["segments"] == 2


def test_strict_fails_and_writes_no_annotations(tmp_path):
    (tmp_path / "Diving_val.txt").write_text("video_validation_0000001 1.0 2.0\n")
    arguments = ("convert", "thumos14", tmp_path / "Diving_val.txt", "-o", tmp_path / "out.json")
    strict = invoke(*arguments, "--strict", "--json", tmp_path / "report.json")
    assert strict.exit_code == 1
    assert "split validation: 3007 segments expected, 1 found" in strict.stderr
    assert not (tmp_path / "out.json").exists()
    assert json.loads((tmp_path / "report.json").read_text())["differences"]
    lenient = invoke(*arguments)
    assert lenient.exit_code == 0
    assert "difference: split validation: 3007 segments expected, 1 found" in lenient.stdout
    assert (tmp_path / "out.json").exists()


def eaf(*labels):
    """Return a file of ELAN with one second of each label."""
    times = range(len(labels) + 1)
    slots = "".join(f'<TIME_SLOT TIME_SLOT_ID="t{n}" TIME_VALUE="{n * 1000}"/>' for n in times)
    rows = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{n}" TIME_SLOT_REF1="t{n}" TIME_SLOT_REF2="t{n + 1}">'
        f"<ANNOTATION_VALUE>{label}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for n, label in enumerate(labels)
    )
    return (
        f'<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///x/a.mp4"/>'
        f'</HEADER><TIME_ORDER>{slots}</TIME_ORDER><TIER TIER_ID="action">{rows}</TIER></ANNOTATION_DOCUMENT>'
    )


def via(*labels):
    """Return a project of VIA with one second of each label."""
    options = {str(n): label for n, label in enumerate(labels)}
    attribute = {"aname": "action", "anchor_id": "FILE1_Z2_XY0", "type": 4, "options": options}
    rows = {str(n): {"vid": "1", "flg": 0, "z": [n, n + 1], "xy": [], "av": {"1": str(n)}} for n in range(len(labels))}
    document = {
        "project": {"vid_list": ["1"]}, "config": {}, "attribute": {"1": attribute}, "metadata": rows,
        "file": {"1": {"fid": 1, "fname": "a.mp4", "type": 4, "loc": 1, "src": ""}}, "view": {"1": {"fid_list": [1]}},
    }  # fmt: skip
    return json.dumps(document)


def label_studio(*labels):
    """Return an export of Label Studio with one second of each label."""
    results = [
        {
            "id": f"r{n}", "type": "timelinelabels", "from_name": "videoLabels",
            "value": {"ranges": [{"start": 25 * n + 1, "end": 25 * n + 25}], "timelinelabels": [label]},
        }
        for n, label in enumerate(labels)
    ]  # fmt: skip
    annotation = {"id": 7, "completed_by": 1, "was_cancelled": False, "result": results}
    return json.dumps([{"id": 5, "data": {"video": "/a.mp4", "fps": 25}, "annotations": [annotation]}])


def activitynet_json(*labels):
    """Return JSON in ActivityNet's layout with one second of each label."""
    rows = [{"label": label, "segment": [n, n + 1]} for n, label in enumerate(labels)]
    return json.dumps({"database": {"a": {"subset": "train", "duration": 9, "annotations": rows}}})


def csv(*labels):
    """Return a table with one second of each label."""
    return "video,start,end,label\n" + "".join(f"a,{n},{n + 1},{label}\n" for n, label in enumerate(labels))


OWN_DATA = {
    "csv": ("own.csv", csv),
    "activitynet-json": ("own.json", activitynet_json),
    "elan": ("own.eaf", eaf),
    "via": ("own.json", via),
    "label-studio": ("own.json", label_studio),
}


@pytest.mark.parametrize("converter", OWN_DATA)
def test_labels_that_look_alike_are_named_with_their_counts(tmp_path, converter):
    name, write = OWN_DATA[converter]
    (tmp_path / name).write_text(write("drink", "Drink", "drink_up", "run"))
    result = invoke("convert", converter, tmp_path / name, "-o", tmp_path / "a.json", "--json", tmp_path / "r.json")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("warning: ")]
    assert line.startswith("warning: labels that differ only in capitals, spaces or underscores are different classes,")
    assert "'Drink' (1)" in line
    assert "'drink' (1)" in line
    assert line.endswith(". If they mean the same action, spell them alike and run this again.")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["similar_labels"] == [{"vocabulary": "action", "segments": {"Drink": 1, "drink": 1}}]
    classes = json.loads((tmp_path / "a.json").read_text())["vocabularies"]["action"]
    assert sorted(classes) == ["Drink", "drink", "drink_up", "run"]


@pytest.mark.parametrize("converter", OWN_DATA)
def test_labels_that_differ_are_not_remarked(tmp_path, converter):
    name, write = OWN_DATA[converter]
    (tmp_path / name).write_text(write("drink", "drinks", "run"))
    result = invoke("convert", converter, tmp_path / name, "-o", tmp_path / "a.json", "--json", tmp_path / "r.json")
    assert (result.exit_code, "warning" in result.stdout) == (0, False)
    assert "similar_labels" not in json.loads((tmp_path / "r.json").read_text())


@pytest.fixture
def videos(tmp_path):
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "a.mp4", frames=60)
    write_video(tmp_path / "videos" / "b.mp4", frames=40)
    return tmp_path / "videos"


def test_durations_come_from_the_video_files(tmp_path, videos):
    (tmp_path / "own.csv").write_text("video,start,end,label,duration\na,1,2,run,\nb,1,2,run,99\nc,1,2,run,\n")
    (videos / "c.mp4").write_bytes(b"no video")
    arguments = ("convert", "csv", tmp_path / "own.csv", "-o", tmp_path / "a.json", "--videos", videos)
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    found = read_annotations(tmp_path / "a.json")
    assert {name: (video.duration, video.fps) for name, video in found.videos.items()} == {
        "a": (6.0, 10.0), "b": (4.0, 10.0), "c": (2.0, None),
    }  # fmt: skip
    for note in (
        "note: the durations of 2 videos are those of their files\n",
        "note: 1 stated durations were replaced by those of the files: b: 99 s stated, 4 s in b.mp4\n",
        f"note: {videos}/c.mp4: not a video that can be read: ",
    ):
        assert note in result.stdout


@pytest.mark.parametrize("options", [("-o", "own.csv"), ("-o", "a.json", "--json", "own.csv")], ids=" ".join)
def test_a_source_is_not_replaced(tmp_path, monkeypatch, table, options):
    monkeypatch.chdir(tmp_path)
    before = table.read_bytes()
    result = invoke("convert", "csv", table, *options)
    assert result.exit_code == 2
    assert "error: own.csv: is one of the sources, and would be replaced\nhint: Name another file." in result.stderr
    assert table.read_bytes() == before


@pytest.mark.parametrize("fps", ["nan", "inf"])
def test_the_frame_rate_is_a_number(tmp_path, fps):
    result = invoke("convert", "frame-labels", tmp_path / "a.txt", "-o", tmp_path / "a.json", "--fps", fps)
    assert (result.exit_code, result.stderr) == (2, f"error: fps: expected frames per second above 0, found {fps}\n")


def test_a_folder_is_no_file(tmp_path):
    result = invoke("convert", "coin", tmp_path, "-o", tmp_path / "a.json")
    assert (result.exit_code, result.stderr) == (2, f"error: {tmp_path}: no such file: it is a folder\n")


def test_windows_around_points_end_with_their_video_file(tmp_path, videos):
    (tmp_path / "a.csv").write_text("#4\nx (NOMINAL,true,)\n00:00:05:500,00:00:05:500,hop\n")
    arguments = ("convert", "datavyu", tmp_path / "a.csv", "-o", tmp_path / "a.json", "--videos", videos)
    result = invoke(*arguments, "--point-window", "1")
    assert result.exit_code == 0, result.stderr
    video = read_annotations(tmp_path / "a.json").videos["a"]
    assert [(item.start, item.end, video.duration) for item in video.segments] == [(4.5, 6.0, 6.0)]
    assert "replaced" not in result.stdout
    (tmp_path / "a.csv").write_text("#4\nx (NOMINAL,true,)\n00:00:06:500,00:00:06:500,hop\n")
    assert "must be within the 6 s of" in invoke(*arguments, "--point-window", "1").stderr


@pytest.mark.parametrize("where", ["beside the table", "below the current folder"])
def test_durations_come_from_the_files_that_the_table_names(tmp_path, monkeypatch, videos, where):
    table = (tmp_path if where == "beside the table" else tmp_path / "tables") / "own.csv"
    table.parent.mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path if where == "below the current folder" else tmp_path.parent)
    rows = (
        "video,start,end,label,path\ncam1,1,2,run,videos/a.mp4\ncam2,1,2,run,videos/gone.mp4\nb,1,2,run,videos/b.mp4\n"
    )
    table.write_text(rows)
    arguments = ("convert", "csv", table, "-o", tmp_path / "a.json")
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    found = read_annotations(tmp_path / "a.json").videos
    assert {name: video.duration for name, video in found.items()} == {"cam1": 6.0, "cam2": 2.0, "b": 4.0}
    assert "note: 1 videos have no file in the place that 'path' names: 'cam2'\n" in result.stdout
    (tmp_path / "a.json").unlink()
    table.write_text(rows.replace("cam1,1,2", "cam1,1,7"))
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert f"{table}:2: video 'cam1': end: must be within the 6 s of " in result.stderr
    assert not (tmp_path / "a.json").exists()


def test_a_table_whose_files_are_elsewhere_is_converted_as_it_is(tmp_path, videos):
    (tmp_path / "own.csv").write_text("video,start,end,label,path\na,1,70,run,disk/a.mp4\n")
    result = invoke("convert", "csv", tmp_path / "own.csv", "-o", tmp_path / "a.json")
    assert (result.exit_code, "file" in result.stdout) == (0, False), result.output
    assert read_annotations(tmp_path / "a.json").videos["a"].duration == 70.0


@pytest.mark.parametrize("converter", OWN_DATA)
def test_segments_that_end_after_their_video_are_refused(tmp_path, videos, converter):
    name, write = OWN_DATA[converter]
    source = tmp_path / name
    source.write_text(write(*"abcdefgh"))
    result = invoke("convert", converter, source, "-o", tmp_path / "a.json", "--videos", videos)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert "error: 2 errors" in lines
    for found in (7.0, 8.0):
        (line,) = [line for line in lines if line.endswith(f"must be within the 6 s of {videos}/a.mp4, found {found}")]
        assert line.startswith(f"  {source}")
        assert "video 'a'" in line
    assert f"hint: Nothing was written. Correct the times in {source}, or replace" in result.stderr
    assert not (tmp_path / "a.json").exists()
    if converter == "csv":
        assert f"  {source}:8: video 'a': end: must be" in result.stderr


@pytest.mark.parametrize(
    ("folder", "code", "message"),
    [
        pytest.param("absent", 2, "absent: no such folder", id="absent"),
        pytest.param("own.csv", 2, "own.csv: expected the folder of the videos, found a file", id="a file"),
        pytest.param("other", 2, "own.csv is in other: the annotations name 'a', 'b'; the files are 'x'", id="others"),
    ],
)
def test_wrong_folders_of_videos(tmp_path, monkeypatch, table, folder, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    write_video(tmp_path / "other" / "x.mp4", frames=5)
    result = invoke("convert", "csv", "own.csv", "-o", "a.json", "--videos", folder)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert not (tmp_path / "a.json").exists()


def test_unknown_dataset_lists_those_there_are(tmp_path, table):
    result = invoke("convert", "thumos", table, "-o", tmp_path / "out.json")
    assert result.exit_code == 2
    assert "no converter named 'thumos'; there are: activitynet, activitynet-json, activitynet12," in result.stderr
    assert "hint: Did you mean 'thumos14'?" in result.stderr
    assert "hint: Did you mean 'csv'?" in invoke("convert", "CSV", table, "-o", tmp_path / "out.json").stderr


def test_list_names_every_converter_and_what_is_expected():
    result = invoke("convert", "--list")
    assert (result.exit_code, result.stderr) == (0, "")
    for text in (*converter_names(), "THUMOS14, temporal action detection", "validation: 200", "20 action"):
        assert text in result.stdout


def test_validate(annotations):
    result = invoke("annotations", "validate", annotations)
    assert (result.exit_code, result.stdout) == (0, f"{annotations}: valid: 2 videos, 2 segments\n")


def test_validate_lists_the_errors_in_json_too(annotations):
    fields = json.loads(annotations.read_text())
    fields["videos"]["a"]["segments"][0] |= {"end": 99.0, "labels": {"action": "fly"}}
    annotations.write_text(json.dumps(fields))
    result = invoke("annotations", "validate", annotations, "--json", "-")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["valid"], len(found["errors"])) == (False, 2)
    assert f"error: {annotations}: 2 errors" in result.stderr
    assert "videos.a.segments.0.labels.action: not in the vocabulary, found 'fly'" in result.stderr


WRONG_ANNOTATIONS = {
    "missing": (None, 2, "no such file"),
    "newer version": ('{"format": "asl-kit/annotations", "version": 9}', 1, "annotation format version is 9"),
    "another format": ('{"database": {}}', 1, "format: must be 'asl-kit/annotations', found None"),
    "cut": ('{"format": "asl-kit/ann', 1, "not a JSON file"),
}


@pytest.mark.parametrize("command", ["validate", "stats"])
@pytest.mark.parametrize(("text", "exit_code", "message"), WRONG_ANNOTATIONS.values(), ids=WRONG_ANNOTATIONS)
def test_wrong_annotation_file(tmp_path, command, text, exit_code, message):
    path = tmp_path / "x.json"
    if text is not None:
        path.write_text(text)
    result = invoke("annotations", command, path)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert message in result.stderr.splitlines()[0]


def test_stats(tmp_path, annotations):
    result = invoke("annotations", "stats", annotations, "--json", tmp_path / "stats.json")
    assert result.exit_code == 0
    assert ["segments", "0", "2"] in [line.split() for line in result.stdout.splitlines()]
    splits = json.loads((tmp_path / "stats.json").read_text())["splits"]
    assert (splits["train"]["segments"], splits["train"]["mean_segment_s"], splits["test"]["without_action"]) == (
        2,
        1.0,
        1,
    )
    assert json.loads(invoke("annotations", "stats", annotations, "--json", "-").stdout)["splits"] == splits


def test_stats_as_a_page_and_against_a_step(tmp_path, annotations):
    page = tmp_path / "stats.html"
    result = invoke("annotations", "stats", annotations, "--html", page, "--step", 1.5)
    assert (result.exit_code, result.stderr) == (0, f"wrote {page}\n")
    assert ["shorter", "than", "one", "step", "0", "2"] in [line.split() for line in result.stdout.splitlines()]
    assert "<h1>own: annotations</h1>" in page.read_text(encoding="utf-8")


def test_stats_takes_the_step_of_a_store(tmp_path, annotations):
    store = FeatureStore.open_or_create(tmp_path / "store", make_spec())
    add_video(store, "a", make_features(5))
    result = invoke("annotations", "stats", annotations, "--features", store.path)
    rows = [line.split() for line in result.stdout.splitlines()]
    step_s = store.info("a").grid.step_s
    assert ["shorter", "than", "one", "step", "0", "2" if step_s > 1 else "0"] in rows
    assert ["videos", "without", "features", "1", "0"] in rows


WRONG_STEPS = {
    "both": (["--step", 1, "--features", "x"], 2, "--step and --features: give only one of them"),
    "no step": (["--step", 0], 2, "Invalid value for '--step'"),
    "no store": (["--features", "nowhere.zarr"], 2, "nowhere.zarr: no such feature store"),
}


@pytest.mark.parametrize(("options", "exit_code", "message"), WRONG_STEPS.values(), ids=WRONG_STEPS)
def test_stats_with_a_wrong_step(annotations, options, exit_code, message):
    result = invoke("annotations", "stats", annotations, *options)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert message in result.stderr


@pytest.mark.parametrize(("layout", "dataset"), [("activitynet", "activitynet-json"), ("csv", "csv")])
def test_export_and_convert_back(tmp_path, annotations, layout, dataset):
    exported, back = tmp_path / "exported", tmp_path / "back.json"
    assert invoke("annotations", "export", annotations, "--to", layout, "-o", exported).exit_code == 0
    assert invoke("convert", dataset, exported, "-o", back).exit_code == 0
    assert json.loads(back.read_text())["videos"] == json.loads(annotations.read_text())["videos"]


def test_schema_is_json():
    assert json.loads(invoke("annotations", "schema").stdout)["title"] == "asl-kit/annotations version 1"
