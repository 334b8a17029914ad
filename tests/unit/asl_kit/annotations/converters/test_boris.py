import csv
import io
import json

import pytest
from helpers.support import GOLDEN, damage
from helpers.workbooks import workbook
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations.converters.boris import convert
from asl_kit.annotations.point_window import PointWindow
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.tiers import TierOptions
from asl_kit.errors import AnnotationError, AslKitError

RAW = GOLDEN / "boris" / "raw"
OLDER = "Observation id\tMedia file\tTotal length\tBehavior\tBehavior type\tStart (s)\tStop (s)\n"


def project(*events, media=("a.mp4",), length=None, **changes):
    length = dict.fromkeys(media, 10.0) if length is None else length
    observation = {
        "file": {"1": list(media)},
        "type": "MEDIA",
        "events": list(events),
        "media_info": {"length": length},
    }
    behaviors = {
        "0": {"code": "eat", "type": "State event", "category": "food"},
        "1": {"code": "hop", "type": "Point event"},
    }
    return json.dumps({"behaviors_conf": behaviors, "observations": {"o": observation | changes}})


def state(start, end, code="eat", subject="", modifiers=""):
    return [start, subject, code, modifiers, ""], [end, subject, code, modifiers, ""]


def run(tmp_path, text, *, name="p.boris", table=None, tiers=(), window=None):
    sources = [tmp_path / name]
    sources[0].write_bytes(text if isinstance(text, bytes) else text.encode())
    if table is not None:
        sources.append(tmp_path / "facts.csv")
        sources[1].write_text(table)
    report = ConversionReport("boris")
    options = {"tiers": TierOptions.parse(tiers), "point_window": window}
    annotations = convert(sources, manifest=None, report=report, **options)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def times(annotations):
    return {
        video_id: [(item.start, item.end) for item in video.segments] for video_id, video in annotations.videos.items()
    }


TIMES = {
    "one medium": (project(*state(1, 2.5)), {"a": [(1, 2.5)]}),
    "two runs": (project(*state(1, 2), *state(4, 5)), {"a": [(1, 2), (4, 5)]}),
    "two subjects at once": (project(*state(1, 3, subject="x"), *state(2, 4, subject="y")), {"a": [(1, 3), (2, 4)]}),
    "the second medium": (project(*state(11, 12), media=["a.mp4", "b.mp4"]), {"a": [], "b": [(1, 2)]}),
    "over a boundary": (project(*state(9, 12), media=["a.mp4", "b.mp4"]), {"a": [(9, 10)], "b": [(0, 2)]}),
    "to a boundary": (project(*state(9, 10), media=["a.mp4", "b.mp4"]), {"a": [(9, 10)], "b": []}),
    "from a boundary": (project(*state(10, 11), media=["a.mp4", "b.mp4"]), {"a": [], "b": [(0, 1)]}),
    "the creation time as an offset": (
        project(
            *state(1602064401, 1602064402.5),
            media_creation_date_as_offset=True,
            media_info={"length": {"a.mp4": 10.0}, "media_creation_time": {"a.mp4": 1602064400}},
        ),
        {"a": [(1, 2.5)]},
    ),
    "a time offset": (project(*state(101, 102), **{"time offset": 100}), {"a": [(1, 2)]}),
}


@pytest.mark.parametrize(("text", "expected"), TIMES.values(), ids=TIMES)
def test_times_of_the_observation_become_times_of_its_media(tmp_path, text, expected):
    annotations, _ = run(tmp_path, text)
    assert times(annotations) == expected


def test_points_and_other_categories_are_reported(tmp_path):
    text = project(*state(1, 2), [3, "", "hop", "", ""])
    _, report = run(tmp_path, text)
    assert [item.reason for item in report.items] == ["a point in time; --point-window makes it a segment"]
    annotations, report = run(tmp_path, text, tiers=["food=verb"])
    assert annotations.videos["a"].segments[0].labels == {"verb": "eat"}
    assert [item.reason for item in report.items] == ["on 'Not defined', not among the chosen tiers"]


def test_events_on_pictures_have_no_times_and_are_reported(tmp_path):
    pictures = {"file": [], "type": "IMAGES", "events": [[None, "", "eat", "", "", 1, "x/1.jpg"]]}
    document = json.loads(project(*state(1, 2)))
    document["observations"]["pictures"] = pictures
    header = "Observation id\tSource\tMedia duration (s)\tSubject\tBehavior\tBehavior type\tTime\n"
    rows = (
        "pictures\tFrom directories of images\tNA\t\teat\tSTART\tNA\n"
        "o\tplayer #1:a.mp4\t10\t\teat\tSTART\t1\no\tplayer #1:a.mp4\t10\t\teat\tSTOP\t2\n"
    )
    for text, name in ((json.dumps(document), "p.boris"), (header + rows, "p.tsv")):
        annotations, report = run(tmp_path, text, name=name)
        assert times(annotations) == {"a": [(1, 2)]}
        assert [(item.kind, item.video) for item in report.items] == [("video", "pictures"), ("segment", "pictures")]


def test_the_medium_of_an_older_export_may_be_live(tmp_path):
    rows = "o\tLIVE\t25\teat\tSTATE\t1\t2\np\ta.mp4\t25\teat\tSTATE\t1\t2\n"
    annotations, report = run(tmp_path, OLDER + rows, name="a.tsv")
    assert (times(annotations), [item.video for item in report.items]) == ({"a": [(1, 2)]}, ["o", "o"])


def test_an_observation_without_a_medium_on_player_1_is_reported_as_that(tmp_path):
    document = json.loads(project(*state(1, 2)))
    document["observations"]["second"] = {"file": {"1": [], "2": ["b.mp4"]}, "type": "MEDIA", "events": state(1, 2)}
    header = "Observation id,Observation type,Source,Media duration (s),Subject,Behavior,Behavior type,Time\n"
    rows = "".join(
        f"{name},Media file(s),{source},10,,eat,{kind},{time}\n"
        for name, source in {"o": "player #1:a.mp4", "second": "player #1:|player #2:b.mp4"}.items()
        for kind, time in (("START", 1), ("STOP", 2))
    )
    older = (RAW / "older.tsv").read_text().replace("d.mp4", " ")
    with pytest.raises(AnnotationError, match="'old': no medium on player 1"):
        run(tmp_path, older, name="p.tsv")
    for text, name in ((json.dumps(document), "p.boris"), (header + rows, "p.csv")):
        _, report = run(tmp_path, text, name=name)
        assert {item.reason for item in report.items} == {"no medium on player 1"}


POINTS = {
    "in the first medium": (3, {"a": [(2, 5, 3)], "b": [], "c": []}),
    "at a boundary": (10, {"a": [], "b": [(0, 2, 0)], "c": []}),
    "at the end of a medium": (19.5, {"a": [], "b": [(8.5, 10, 9.5)], "c": []}),
    "in the last medium": (25, {"a": [], "b": [], "c": [(4, 7, 5)]}),
}


@pytest.mark.parametrize(("time", "expected"), POINTS.values(), ids=POINTS)
def test_the_window_of_a_point_stays_in_its_medium(tmp_path, time, expected):
    text = project([time, "", "hop", "", ""], media=["a.mp4", "b.mp4", "c.mp4"])
    annotations, _ = run(tmp_path, text, window=PointWindow(1, 2))
    assert {
        name: [(item.start, item.end, item.attributes["point"]) for item in video.segments]
        for name, video in annotations.videos.items()
    } == expected


def test_a_point_after_the_end_is_refused_by_its_time(tmp_path):
    with pytest.raises(AnnotationError, match=r"duration \(10\.0\), found 13\.0, around the point 11\.0"):
        run(tmp_path, project([11, "", "hop", "", ""]), window=PointWindow(1, 2))


def test_an_older_export_of_two_media_needs_their_durations(tmp_path):
    rows = "o\ta.mp4\t25\teat\tSTATE\t1\t2\no\tb.mp4\t25\teat\tSTATE\t12\t14\n"
    facts = "video,duration\na,10\nb,15\n"
    annotations, _ = run(tmp_path, OLDER + rows, name="a.tsv", table=facts)
    assert times(annotations) == {"a": [(1, 2)], "b": [(2, 4)]}
    with pytest.raises(AnnotationError, match="2 errors") as caught:
        run(tmp_path, OLDER + rows, name="a.tsv")
    for video in "ab":
        text = f"video '{video}': duration: not stated, but needed, as the observation has several media; give it in a"
        assert text in caught.value.message
    with pytest.raises(
        AnnotationError, match=r"its media with events last 25 s, but the observation 40 s: use BORIS's"
    ):
        run(tmp_path, OLDER + rows.replace("25", "40"), name="a.tsv", table=facts)


def test_an_older_export_names_each_medium_above_its_header(tmp_path):
    older = (
        (RAW / "older.tsv")
        .read_text()
        .replace("Player #1\td.mp4", "Player #1\tc.mp4\nPlayer #1\td.mp4\nPlayer #2\te.mp4")
    )
    annotations, report = run(tmp_path, older, name="a.tsv", table="video,duration\nc,5\nd,54.96\n")
    assert times(annotations) == {"c": [(3.3, 5)], "d": [(0, 2.75)]}
    assert report.notes[0].endswith("1 media of further players are not converted")


@pytest.mark.parametrize("shared", [False, True], ids=["as BORIS writes it", "saved by Excel"])
@pytest.mark.parametrize("name", ["aggregated.tsv", "tabular.csv", "older.tsv"])
def test_a_workbook_is_read_like_the_text(tmp_path, name, shared):
    text = (RAW / name).read_text()
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter="\t" if name.endswith("tsv") else ","))
    expected, _ = run(tmp_path, text, name=name)
    annotations, _ = run(tmp_path, workbook(rows, shared=shared), name="a.xlsx")
    assert annotations.videos == expected.videos


FAULTS = {
    "not paired": (
        project([1, "", "eat", "", ""]),
        "p.boris",
        "event 1: video 'a': behavior 'eat', START: the state does",
    ),
    "unknown behavior": (project([1, "", "fly", "", ""]), "p.boris", "behavior 'fly' is not in the ethogram"),
    "no event": (project([1, "", "eat"]), "p.boris", r"event 1: must be \[time, subject, code"),
    "late": (project(*state(9, 11)), "p.boris", r"end: must be within the video's duration \(10.0\)"),
    "another workbook": (
        workbook([["video", "duration"]]),
        "p.xlsx",
        "not an export of BORIS: expected a first column",
    ),
    "creation times of two media": (
        project(*state(1602064401, 1602064402), media=["a.mp4", "b.mp4"], media_creation_date_as_offset=True),
        "p.boris",
        "observation 'o': media_creation_date_as_offset: its times are dates",
    ),
    "no workbook": ("a,b", "p.xlsx", r"not a workbook \(\.xlsx\)"),
    "no project": ("{}", "p.boris", "not a project of BORIS"),
    "not an export": ("a\tb\n1\t2\n", "p.tsv", "not an export of BORIS: expected a first column 'Observation id'"),
    "another export": ("Observation id\tb\n1\t2\n", "p.tsv", "not an export of events of BORIS"),
    "no time": (OLDER + "o\ta.mp4\t25\teat\tSTATE\tx\t2\n", "p.tsv", "p.tsv:2: must have a Behavior, a time and STATE"),
    "an event above the header": (
        "Observation id\to\n1\t2\t3\n" + OLDER.replace("Observation id\t", ""),
        "p.tsv",
        "p.tsv:2: 3 cells above the header, which is in line 3",
    ),
    "a medium without a name": (
        project(*state(1, 2)).replace('["a.mp4"]', "[7]"),
        "p.boris",
        "observation 'o': file: must be a list of media for each player, found {'1': .7.}",
    ),
    "another source": (
        (RAW / "tabular.csv").read_text().replace("player #1", "player 1", 1),
        "p.csv",
        "observation 'one': Source: must be player #1:FILE, found 'player 1:c.mp4'",
    ),
    "a short row": (OLDER + "o\ta.mp4\n", "p.tsv", "p.tsv:2: 2 cells, expected 7 as in the header"),
}


@pytest.mark.parametrize(("text", "name", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(tmp_path, text, name, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, text, name=name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["zoo.boris", "aggregated.tsv", "tabular.csv", "older.tsv"]))
def test_damaged_file_is_one_message(tmp_path, data, name):
    try:
        run(tmp_path, data.draw(damage((RAW / name).read_bytes())), name=name)
    except AslKitError:
        return
