from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import Result
from helpers import command_line
from helpers.support import make_annotation_set, write_video

from asl_kit.annotations import write_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections

HOSTILE = '</script><img src=x onerror="alert(1)">'
ALLOWED_TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "main", "nav", "ul", "li", "a", "h1", "h2", "p", "div"),
    *("dl", "dt", "dd", "small", "figure", "figcaption", "table", "thead", "tbody", "tr", "th", "td", "details"),
    *("summary", "script", "label", "select", "option", "button", "input", "span", "output", "svg", "rect", "path"),
    *("video", "noscript"),
}


class Page(HTMLParser):
    """Collects the tags and the attributes that run something, as a browser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.running: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.running += [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    videos = {HOSTILE: ("test", [(0.0, 10.0, HOSTILE), (20.0, 30.0, "run")]), "v2": ("test", [(0.0, 10.0, "run")])}
    predictions = [(HOSTILE, 0, 10, HOSTILE, 0.9), (HOSTILE, 20, 26, "run", 0.8), ("v2", 0, 10, HOSTILE, 0.7)]
    annotations = make_annotation_set(videos, [HOSTILE, "run"], dataset=HOSTILE)
    with_fps = {name: video.model_copy(update={"fps": 10.0}) for name, video in annotations.videos.items()}
    write_annotations(annotations.model_copy(update={"videos": with_fps}), tmp_path / "a.json")
    write_predictions(tmp_path / "p.json", Detections.from_lists(predictions))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(arguments: str) -> Result:
    return command_line.run(f"report --predictions p.json --annotations a.json {arguments}")


def test_the_page_holds_the_scores_and_no_name_as_markup(folder: Path) -> None:
    result = run("-o out/r.html --tiou 0.6:0.7:0.1")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "wrote out/r.html\n")
    text = (folder / "out" / "r.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags <= ALLOWED_TAGS
    assert page.running == []
    # Each class has AP 1 at its highest-scoring prediction (HOSTILE), and run 0.5 at 0.6 and 0 at 0.7: mAP 0.75, 0.5.
    assert re.search(r"mAP \(%\)</th><td class=\"number\">75\.00</td><td class=\"number\">50\.00</td>", text)
    assert "https://" not in text.split('id="plotly-program"')[0]


@pytest.mark.parametrize(("protocol", "said"), [("activitynet", True), ("charades", False)])
def test_intervals_of_two_videos_come_with_a_warning(folder: Path, protocol: str, said: bool) -> None:
    assert run(f"-o r.html --protocol {protocol}").exit_code == 0
    text = (folder / "r.html").read_text(encoding="utf-8")
    assert ("95% interval" in text) == said
    assert ("<li>2 videos are too few for reliable intervals and p-values</li>" in text) == said


def test_equal_input_makes_equal_bytes(folder: Path) -> None:
    pages = []
    for name in ("1.html", "2.html"):
        assert run(f"-o {name}").exit_code == 0
        pages.append((folder / name).read_bytes())
    assert pages[0] == pages[1]


def test_videos_are_referred_to_where_they_are(folder: Path) -> None:
    (folder / "films").mkdir()
    (folder / "films" / "v2.mp4").touch()
    assert run("-o pages/r.html --videos films").exit_code == 0
    text = (folder / "pages" / "r.html").read_text(encoding="utf-8")
    assert '"file":"../films/v2.mp4"' in text
    assert "1 of 2 videos have no file." in text


@pytest.mark.parametrize("protocol", ["activitynet", "thumos14", "multithumos", "charades", "proposals", "ego4d-mq"])
def test_every_protocol_of_one_vocabulary_has_a_report(folder: Path, protocol: str) -> None:
    result = run(f"-o r.html --protocol {protocol}")
    assert (result.exit_code, result.stderr) == (0, "wrote r.html\n")
    text = (folder / "r.html").read_text(encoding="utf-8")
    assert f"protocol {protocol}" in text
    if protocol in ("activitynet", "ego4d-mq"):  # these have the same AP, so the intervals belong to it
        assert "95% interval: " in text


def test_no_predictions_at_all(folder: Path) -> None:
    (folder / "p.json").write_text('{"results": {}}')
    result = run("-o r.html")
    assert (result.exit_code, result.stderr) == (0, "wrote r.html\n")
    assert "never predicted" in (folder / "r.html").read_text(encoding="utf-8")


def run_without_truth(arguments: str) -> Result:
    return command_line.run(f"report --predictions p.json {arguments}")


def test_without_annotations_the_page_shows_what_was_found(folder: Path) -> None:
    (folder / "films").mkdir()
    (folder / "films" / "v2.mp4").touch()
    result = run_without_truth("-o pages/r.html --videos films")
    unreadable = "warning: 1 of 1 video files cannot be read: films/v2.mp4: the file is empty\n"
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"reading headers 1/1\n{unreadable}wrote pages/r.html\n"
    text = (folder / "pages" / "r.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags <= ALLOWED_TAGS
    assert page.running == []
    assert re.search(r'>run</th><td class="number">1</td><td class="number">1</td><td class="number">0.8</td>', text)
    assert '"file":"../films/v2.mp4"' in text
    assert text.split("<script>")[0].count("mAP") == 0
    assert "plotly-program" not in text


BEYOND = "1 of 1 segments end beyond the end of their video, such as v2 [50, 80) of 6 s"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("v2", 50, 80, "run", 0.9)], f"warning: p.json: {BEYOND}"),
        ([("v2", 1, 6.2, "run", 0.5)], ""),
    ],
    ids=["beyond the end", "good"],
)
def test_without_annotations_the_predictions_are_checked(
    folder: Path, rows: list[tuple[str, float, float, str, float]], said: str
) -> None:
    (folder / "films").mkdir()
    write_video(folder / "films" / "v2.mp4", frames=60)
    write_predictions(folder / "p.json", Detections.from_lists(rows))
    result = run_without_truth("-o r.html --videos films")
    assert result.exit_code == 0
    first, *found, last = result.stderr.splitlines()
    assert (first, last) == ("reading headers 1/1", "wrote r.html")
    assert "".join(found).startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            "--split test",
            2,
            "error: --split: needs --annotations FILE\nhint: without annotations, a report shows the detections",
        ),
        ("--tiou 0.5:0.5:0.1 --duplicates drop", 2, "error: --tiou, --duplicates: needs --annotations"),
        ("--protocol thumos14 --vocabulary verb", 2, "error: --protocol, --vocabulary: needs --annotations"),
        ("--sensitivity s.json", 2, "error: --sensitivity: needs --annotations"),
        ("--videos gone", 2, "error: gone: no such folder"),
        ("--videos .", 2, "error: .: none of the 2 videos has a file here"),
    ],
)
def test_what_needs_annotations_is_refused_without(arguments: str, code: int, message: str) -> None:
    result = run_without_truth(f"-o r.html {arguments}")
    assert result.exit_code == code
    assert message in result.stderr
    assert not Path("r.html").exists()


def test_without_annotations_and_videos_there_is_nothing_to_report(folder: Path) -> None:
    (folder / "p.json").write_text('{"results": {}}')
    result = run_without_truth("-o r.html")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        1,
        "error: p.json: there are no videos to report on",
    )


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("-o r.html --videos gone", 2, "error: gone: no such folder"),
        ("-o r.html --videos .", 2, "error: .: none of the 2 videos has a file here"),
        ("-o r.html --sensitivity gone.json", 2, "error: gone.json: no such file"),
        ("-o r.html --sensitivity p.json", 1, "error: p.json: "),
        ("-o r.html --split gone", 1, "no video in split 'gone'"),
        ("-o r.html --protocol epic-kitchens", 2, "hint: name it with --vocabulary: action"),
        ("-o r.html --tiou 1", 2, "error: --tiou: expected LO:HI:STEP, found '1'"),
        ("-o a.json/r.html", 1, "error: "),
        ("-o r.html --predictions-per-video 0", 2, "0 is not in the range"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(arguments: str, code: int, message: str) -> None:
    result = run(arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not Path("r.html").exists()


def test_an_unknown_class_is_named_with_its_file(folder: Path) -> None:
    write_predictions(folder / "p.json", Detections.from_lists([("v2", 0, 1, "fly", 0.5)]))
    result = run("-o r.html")
    assert result.exit_code == 1
    assert "error: p.json: video 'v2': class 'fly' is not among the 2" in result.stderr


def test_it_is_written_where_sensitivity_is_too(folder: Path) -> None:
    curves = {"p_cls": [1.0], "p_loc": [1.0], "mu": {}, "sigma": {}, "training_segments": None}
    document = {"format": "asl-kit/sensitivity", "version": 1, "split": "test", "mode": "quality", "u": [0.0]}
    document |= {"classes": {HOSTILE: curves}, "videos": None}
    (folder / "s.json").write_text(json.dumps(document))
    assert run("-o r.html --sensitivity s.json").exit_code == 0
    assert Page((folder / "r.html").read_text(encoding="utf-8")).tags <= ALLOWED_TAGS
