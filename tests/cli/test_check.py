"""`asl-kit check`, and what the commands that read predictions say about the same mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from helpers.command_line import run
from helpers.support import make_annotation_set, write_video

from asl_kit.annotations import write_annotations
from asl_kit.detections.json_format import read_predictions, write_predictions
from asl_kit.detections.table import Detection, Detections

VIDEOS = {
    "a": ("test", [(2.0, 10.0, "jump high"), (20.0, 30.0, "run")]),
    "b": ("test", [(40.0, 90.0, "run")]),
    "c": ("train", [(40.0, 90.0, "run")]),
}
GOOD = [
    Detection("a", 2.0, 9.0, "jump high", 0.9),
    Detection("a", 20.0, 31.0, "run", 0.8),
    Detection("b", 40.0, 88.0, "run", 0.7),
]
FPS = 25.0

Change = Callable[[Detection], Detection]


def scaled(*factors: float) -> Change:
    by_video = dict(zip("abc", factors * 3, strict=False))
    return lambda row: row._replace(
        start_s=row.start_s * by_video[row.video_id], end_s=row.end_s * by_video[row.video_id]
    )


def renamed(names: dict[str, str]) -> Change:
    return lambda row: row._replace(video_id=names.get(row.video_id, row.video_id))


def relabelled(names: dict[str, str]) -> Change:
    return lambda row: row._replace(label=names.get(row.label, row.label))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    annotations = make_annotation_set(VIDEOS, ["jump high", "run"])
    videos = {name: video.model_copy(update={"fps": FPS}) for name, video in annotations.videos.items()}
    write_annotations(annotations.model_copy(update={"videos": videos}), tmp_path / "a.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(rows: Sequence[Detection], name: str = "p.json") -> None:
    write_predictions(Path(name), Detections.from_lists(rows))


def read(name: str) -> list[Detection]:
    found = read_predictions(Path(name))
    return [row for video_id in found.video_ids for row in found.rows(video_id)]


CHECK = "check p.json --annotations a.json"
EVAL = "eval --predictions p.json --annotations a.json"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("change", "said", "mended"),
    [
        pytest.param(
            scaled(1000),
            "warning: the times are probably milliseconds, not seconds: 3 of 3 segments end beyond the end of their "
            "video, such as a [2000, 9000) of 100 s",
            "3 segments from milliseconds to seconds",
            id="milliseconds",
        ),
        pytest.param(
            scaled(FPS),
            "warning: the times are probably frame numbers, not seconds: 3 of 3 segments end beyond",
            "3 segments from frame numbers to seconds",
            id="frame numbers",
        ),
        pytest.param(
            scaled(0.01),
            "warning: the times are probably fractions of the video, not seconds: all 3 segments end within the first "
            "second of their video",
            "3 segments from fractions of the video to seconds",
            id="fractions",
        ),
        pytest.param(
            renamed({"a": "v_a", "b": "v_b"}),
            "error: none of the predicted videos (2) is in the annotations: 'v_a', 'v_b'\n"
            "hint: did you mean 'a' for 'v_a'?\n",
            "2 video ids: 'v_a' to 'a', 'v_b' to 'b'",
            id="prefix",
        ),
        pytest.param(
            renamed({"a": "A", "b": "B"}),
            "did you mean 'a' for 'A'?",
            "2 video ids: 'A' to 'a', 'B' to 'b'",
            id="capitals",
        ),
        pytest.param(
            renamed({"a": "videos/a.mp4", "b": "C:\\videos\\b.MOV"}),
            "did you mean",
            "2 video ids: 'C:\\videos\\b.MOV' to 'b', 'videos/a.mp4' to 'a'",
            id="paths",
        ),
        pytest.param(
            renamed({"b": "v_b"}),
            "warning: 1 of 2 predicted videos not in the annotations: 'v_b' (did you mean 'b'?)",
            "1 video id: 'v_b' to 'b'",
            id="one prefix",
        ),
        pytest.param(
            relabelled({"jump high": "Jump_High"}),
            "error: 1 of 2 predicted classes not in the annotations: 'Jump_High' (did you mean 'jump high'?)",
            "1 class name: 'Jump_High' to 'jump high'",
            id="label",
        ),
        pytest.param(
            lambda row: scaled(1000)(row)._replace(video_id=f"v_{row.video_id}", label=row.label.upper()),
            "warning: the times are probably milliseconds",
            "2 class names: 'JUMP HIGH' to 'jump high', 'RUN' to 'run'",
            id="all at once",
        ),
    ],
)
def test_what_is_certain_is_mended(change: Change, said: str, mended: str) -> None:
    write([change(row) for row in GOOD])
    result = run(CHECK)
    assert result.exit_code == 1, result.output
    assert said in result.stdout
    assert "-o FILE writes a mended file" in result.stdout
    result = run(f"{CHECK} -o m.json")
    assert result.exit_code == 0, result.output
    assert f"mended: {mended}\n" in result.stdout
    assert "wrote m.json: 3 segments\n" in result.stdout
    rows = read("m.json")
    assert [row[::3] for row in rows] == [row[::3] for row in GOOD]
    assert [row[1:3] for row in rows] == [pytest.approx(row[1:3]) for row in GOOD]
    assert run("check m.json --annotations a.json").exit_code == 0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            renamed({"b": "x"}), "warning: 1 of 2 predicted videos not in the annotations: 'x'\n", id="unknown"
        ),
        pytest.param(
            renamed({"a": "v_b"}), "warning: 1 of 2 predicted videos not in the annotations: 'v_b' (did you", id="both"
        ),
        pytest.param(
            renamed({"a": "x", "b": "y"}),
            "error: none of the predicted videos (2) is in the annotations: 'x', 'y'\n"
            "hint: the annotations have 'a', 'b', 'c'\n",
            id="no video",
        ),
        pytest.param(relabelled({"run": "swim"}), "error: 1 of 2 predicted classes not in the ann", id="class"),
        pytest.param(
            relabelled({"jump high": "RUN"}),
            "predicted classes not in the annotations: 'RUN' (did you",
            id="two classes",
        ),
        pytest.param(
            scaled(1.0, 2.0),
            "warning: 1 of 3 segments end beyond the end of their video, such as b [80, 176) of 100 s\n",
            id="beyond the end",
        ),
        pytest.param(
            lambda row: scaled(0.01)(row)._replace(video_id="a"),
            "warning: the times are probably fractions of the video, not seconds: all 3 segments",
            id="fractions of one video",
        ),
        pytest.param(
            lambda row: row._replace(start_s=row.start_s - 4),
            "warning: 1 of 3 segments start before their video, such as a [-2, 9)\n",
            id="before the start",
        ),
        pytest.param(
            lambda row: row._replace(end_s=max(row.start_s, row.end_s - 7)),
            "warning: 1 of 3 segments have no length, and cannot be right, such as a [2, 2)\n",
            id="no length",
        ),
        pytest.param(scaled(100.0), "warning: 3 of 3 segments end beyond the end of their video", id="no unit"),
    ],
)
def test_what_is_not_certain_is_kept_and_named(change: Change, said: str) -> None:
    rows = [change(row) for row in GOOD]
    write(rows)
    result = run(f"{CHECK} -o m.json")
    assert result.exit_code == 1, result.output
    assert said in result.stdout
    assert "nothing was mended" in result.stdout
    assert read("m.json") == sorted(rows, key=lambda row: (row.video_id, -row.score))


def spread(count: int, unit_s: float) -> list[Detection]:
    """Return different detections all over video b, which is 100 s long, in a unit of time."""
    return [Detection("b", 4 * row / unit_s, (4 * row + 3) / unit_s, "run", row / count) for row in range(1, count + 1)]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param(spread(24, 1 / 1000), "milliseconds", id="milliseconds"),
        pytest.param(spread(24, 1 / 100), "warning: 24 of 24 segments end beyond the end", id="hundredths of seconds"),
        pytest.param(
            spread(24, 60.0),
            "warning: all 24 segments end within the first 1.65% of their video: are the times seconds?",
            id="minutes",
        ),
        pytest.param(spread(19, 60.0), "nothing wrong was found", id="few at the beginning"),
        pytest.param(
            [*spread(24, 1.0), *spread(1, 1.0)[:1], *spread(24, 1.0)[:2]],
            "warning: 2 of 27 segments repeat another one with the same times, label and score",
            id="repeated",
        ),
        pytest.param([*spread(24, 1.0), *spread(23, 1.0)], "nothing wrong was found", id="the same with other scores"),
    ],
)
def test_many_segments(rows: list[Detection], said: str) -> None:
    write(rows)
    result = run(f"{CHECK} -o m.json")
    assert said in result.stdout
    is_mended = said == "milliseconds"
    assert ("mended: 24 segments from milliseconds to seconds" in result.stdout) == is_mended
    assert result.exit_code == (0 if is_mended or said.startswith("nothing") else 1)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.5] * 10, "remark: all 10 scores are 0.5: the order of the segments is arbitrary"),
        ([-1.0, 0.5, 3.0], "remark: 2 of 3 scores are outside [0, 1]: they are between -1 and 3"),
        ([0.5, 0.4], "nothing wrong was found"),
    ],
    ids=["equal", "outside", "fine"],
)
def test_remarks_are_no_fault(scores: list[float], said: str) -> None:
    write([Detection("a", 2.0, 9.0 + number, "run", score) for number, score in enumerate(scores)])
    before = Path("p.json").read_bytes()
    result = run(f"{CHECK} -o m.json")
    assert (result.exit_code, said in result.stdout) == (0, True), result.output
    assert Path("m.json").read_bytes() == before


@pytest.mark.usefixtures("folder")
def test_json() -> None:
    write([scaled(1000)(row) for row in GOOD] + [Detection("x", 1000.0, 2000.0, "Run", 0.5)])
    result = run(f"{CHECK} -o m.json --json -")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["videos"], document["segments"], document["unit"]) == (3, 4, "milliseconds")
    assert [(finding["kind"], finding["severity"], finding["names"]) for finding in document["findings"]] == [
        ("videos", "warning", ["x"]),
        ("times", "warning", ["a", "b"]),
        ("labels", "error", ["Run"]),
    ]
    mended = document["mended"]
    assert (mended["path"], mended["times"], mended["videos"], mended["labels"]) == ("m.json", 4, {}, {})
    assert [finding["kind"] for finding in mended["left"]] == ["videos", "labels"]
    assert read("m.json")[-1] == Detection("x", 1.0, 2.0, "Run", 0.5)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "command",
    [
        EVAL,
        "report --predictions p.json --annotations a.json -o r.html",
        "diagnose --predictions p.json --annotations a.json",
        "compare good.json p.json --annotations a.json",
    ],
)
def test_the_commands_warn_and_give_the_same_result(command: str) -> None:
    write(GOOD, "good.json")
    write([scaled(1000)(row) for row in GOOD])
    result = run(command)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stderr.splitlines() if "p.json" in line]
    assert lines == [
        "warning: p.json: the times are probably milliseconds, not seconds: 3 of 3 segments end beyond the end of "
        "their video, such as a [2000, 9000) of 100 s",
        "hint: to mend: asl-kit check p.json --annotations a.json -o mended.json",
    ]
    assert "good.json" not in result.stderr

    write([renamed({"a": "v_a", "b": "v_b"})(row) for row in GOOD])
    result = run(command)
    assert result.exit_code == 1, result.output
    assert result.stderr.endswith(
        "error: p.json: none of the predicted videos (2) is in the annotations: 'v_a', 'v_b'\n"
        "hint: did you mean 'a' for 'v_a'? To mend: asl-kit check p.json --annotations a.json -o mended.json\n"
    )

    write([Detection("c", 40.0, 88.0, "run", 0.7)])
    result = run(command)
    assert result.exit_code == 1, result.output
    assert result.stderr.endswith(
        "error: p.json: none of the predicted videos (1) is in split 'test', but in: train\n"
        "hint: choose the split with --split train\n"
    )

    write(GOOD)
    result = run(command)
    assert (result.exit_code, result.stderr.replace("wrote r.html\n", "")) == (0, "")


def test_labels_of_actions_are_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    vocabularies = {"verb": ["wash", "take"], "noun": ["cup", "plate"]}
    write_annotations(make_annotation_set({"a": ("test", None)}, [], vocabularies=vocabularies), tmp_path / "a.json")
    write([Detection("a", 2.0, 9.0, "Wash,Cup", 0.5), Detection("a", 2.0, 9.0, "take,plate", 0.4)])
    result = run(f"{CHECK} -o m.json")
    assert (result.exit_code, [row.label for row in read("m.json")]) == (0, ["wash,cup", "take,plate"]), result.output
    result = run(f"{CHECK} --vocabulary verb")
    assert result.exit_code == 1
    assert "error: 2 of 2 predicted classes not in the annotations: 'Wash,Cup', 'take,plate'\n" in result.stdout


def test_submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    annotations = make_annotation_set({"v_a": ("test", None)}, ["run"], dataset="activitynet13")
    write_annotations(annotations, tmp_path / "a.json")
    command = "submit --to activitynet --predictions p.json --annotations a.json -o s.json"
    write([Detection("a", 2.0, 9.0, "run", 0.5)])
    for split in ("", " --split test"):
        result = run(command + split)
        assert result.exit_code == 1
        assert "error: p.json: none of the predicted videos (1) is in the annotations: 'a'\n" in result.stderr
        assert "hint: did you mean 'v_a' for 'a'?" in result.stderr
        assert not Path("s.json").exists()


def test_render_leaves_out_what_lies_beyond_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "a.mp4", fps=10, frames=60)
    for rows in (
        [Detection("a", 1000.0, 5500.0, "run", 0.9), Detection("a", 6100.0, 6500.0, "jump", 0.8)],
        [Detection("a", 1.0, 5.5, "run", 0.9), Detection("a", 530.0, 560.0, "run", 0.8)],
    ):
        write(rows)
        result = run("render p.json a.mp4 --subtitles out --edl out")
        assert (result.exit_code, result.stdout) == (0, "out/a.actions.srt\nout/a.edl\n")
        is_all = rows[0].start_s > 6
        text = Path("out/a.actions.srt").read_text()
        assert text == ("" if is_all else "1\n00:00:01,000 --> 00:00:05,500\nrun 0.90\n\n")
        assert f"\n{1 + is_all} segments start after the end of their video and are left out\n" in result.stderr
        said = "the times are probably milliseconds, not seconds: 2 of 2" if is_all else "1 of 2"
        assert f"warning: p.json: {said} segments end beyond the end of their video, such as a [" in result.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("p.json --annotations a.json -o m.csv", 2, "m.csv: a mended file is JSON\nhint: for example -o m.json"),
        ("gone.json --annotations a.json", 2, "gone.json: no such file"),
        ("p.json --annotations a.json --split dev", 1, "no video in split 'dev'; the splits are: test, train"),
        ("p.json --annotations a.json --vocabulary verb", 1, "no vocabulary 'verb'"),
        ("p.json", 2, "Missing option '--annotations'"),
        ("p.json --annotations a.json -o a.json/m.json", 1, "a.json/m.json: cannot be written"),
    ],
    ids=["table", "no file", "split", "vocabulary", "annotations", "folder"],
)
def test_wrong_options(arguments: str, code: int, message: str) -> None:
    write(GOOD)
    result = run(f"check {arguments}")
    assert (result.exit_code, message in result.stderr) == (code, True), result.output
