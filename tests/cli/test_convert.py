"""`asl-kit convert` and `asl-kit annotations`: exit codes, one message on stderr, nothing half-written."""

import json

import pytest
from helpers.command_line import run
from helpers.support import add_video, make_features, make_spec

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
    "NaN": (ROWS + "c,nan,9.5,run,train,9\n", 1, "own.csv:5: video 'c': start: must be a finite number, found nan"),
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


def test_unknown_dataset_lists_those_there_are(tmp_path, table):
    result = invoke("convert", "thumos", table, "-o", tmp_path / "out.json")
    assert result.exit_code == 2
    assert "no converter named 'thumos'; there are: activitynet, activitynet-json, activitynet12," in result.stderr
    assert "hint: Did you mean 'thumos14'?" in result.stderr


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
