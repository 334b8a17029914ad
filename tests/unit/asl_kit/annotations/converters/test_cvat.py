import zipfile

import pytest
from helpers.support import GOLDEN, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations.converters.cvat import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.tiers import TierOptions
from asl_kit.errors import AnnotationError, AslKitError, UsageError

RAW = GOLDEN / "cvat" / "raw"
FACTS = "video,duration,fps\na,9,10\n"


def box(frame, outside=0, **values):
    inside = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in values.items())
    return f'<box frame="{frame}" outside="{outside}">{inside}</box>'


def track(*boxes, label="run"):
    return f'<track id="0" label="{label}">{"".join(boxes)}</track>'


def skeleton(frame, *outside):
    points = "".join(f'<points label="{name}" outside="{value}"/>' for name, value in enumerate(outside))
    return f'<skeleton frame="{frame}" keyframe="1">{points}<attribute name="pose">sit</attribute></skeleton>'


def document(*tracks, task="<frame_filter/><source>a.mp4</source>"):
    meta = f"<meta><task><id>1</id>{task}</task></meta>"
    return f"<annotations><version>1.1</version>{meta}{''.join(tracks)}</annotations>"


def run(tmp_path, text, *, table=FACTS, tiers=()):
    path, facts = tmp_path / "a.xml", tmp_path / "facts.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    facts.write_text(table)
    report = ConversionReport("cvat")
    annotations = convert([path, facts], manifest=None, report=report, tiers=TierOptions.parse(tiers))
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def segments(annotations):
    return [(item.start, item.end, item.labels) for item in annotations.videos["a"].segments]


TIMES = {
    "to the frame outside": ([box(5), box(8, 1)], "", [(0.5, 0.8)]),
    "every frame": ([box(5), box(6), box(7, 1)], "", [(0.5, 0.7)]),
    "to the last frame": ([box(5), box(6)], "", [(0.5, 0.7)]),
    "back again": ([box(0), box(1, 1), box(4), box(5, 1)], "", [(0.0, 0.1), (0.4, 0.5)]),
    "outside first": ([box(0, 1), box(2)], "", [(0.2, 0.3)]),
    "a skeleton, until its last point": ([skeleton(0, 0, 0), skeleton(3, 1, 0), skeleton(5, 1, 1)], "", [(0.0, 0.5)]),
    "to the end of the video": ([box(84), box(88)], "<frame_filter>step=4</frame_filter>", [(8.4, 9.0)]),
    "every third frame": ([box(10), box(13)], "<frame_filter>step=3</frame_filter>", [(1.0, 1.6)]),
}


@pytest.mark.parametrize(("boxes", "chosen", "expected"), TIMES.values(), ids=TIMES)
def test_a_track_is_a_segment_while_it_is_visible(tmp_path, boxes, chosen, expected):
    annotations, _ = run(tmp_path, document(track(*boxes), task=f"{chosen}<source>a.mp4</source>"))
    assert segments(annotations) == [(start, end, {"action": "run"}) for start, end in expected]


def test_values_of_an_attribute_are_classes_if_chosen(tmp_path):
    person = track(box(0, pose="sit"), box(4, pose="stand"), box(6, pose=""), box(8, 1), label="person")
    annotations, report = run(tmp_path, document(person, track(box(1))), tiers=["person.pose=pose"])
    assert segments(annotations) == [(0.0, 0.4, {"pose": "sit"}), (0.4, 0.6, {"pose": "stand"})]
    assert [item.reason for item in report.items] == [
        "pose is empty from frame 6", "on 'run', not among the chosen tiers",
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"there are: 'person', 'person\.pose', 'run'"):
        run(tmp_path, document(person, track(box(1))), tiers=["person.post"])


@pytest.mark.parametrize("name", ["a.xml", "a.zip"])
def test_the_frame_rate_can_be_an_option_and_the_archive_is_read(tmp_path, name):
    path = tmp_path / name
    path.write_text(document(track(box(5), box(8, 1))))
    if name == "a.zip":
        content = path.read_bytes()
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("annotations.xml", content)
    annotations = convert([path], manifest=None, report=ConversionReport("cvat"), fps=5.0)
    assert (segments(annotations), annotations.videos["a"].fps) == ([(1.0, 1.6, {"action": "run"})], 5.0)


FAULTS = {
    "no rate": (
        document(track(box(1))),
        "video,duration\na,9\n",
        "frames per second: not stated; give the video's rate",
    ),
    "no frame": (document(track("<box outside='0'/>")), FACTS, "track '0': box: video 'a': must have a frame above"),
    "back": (document(track(box(3), box(2))), FACTS, "must have a frame above the one before"),
    "outside": (document(track(box(3, "x"))), FACTS, "outside=0 or 1"),
    "filter": (
        document(task="<frame_filter>every</frame_filter><source>a.mp4</source>"),
        FACTS,
        "must be step=N, found",
    ),
    "no video": (document(task=""), FACTS, "expected the name of its video in <source>"),
    "other XML": ("<annotations/>", FACTS, "not an export of CVAT: expected a task, job or project in <meta>"),
    "no XML": ("x", FACTS, "not an XML file"),
    "entities": ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', FACTS, r"document type declaration .*CVAT does not"),
    "late": (document(track(box(90), box(91))), FACTS, "end: must be within the video's duration"),
}


@pytest.mark.parametrize(("text", "table", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(tmp_path, text, table, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, text, table=table)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_file_is_one_message(tmp_path, data):
    try:
        run(tmp_path, data.draw(damage((RAW / "kitchen.xml").read_bytes())), table=(RAW / "videos.csv").read_text())
    except AslKitError:
        return
