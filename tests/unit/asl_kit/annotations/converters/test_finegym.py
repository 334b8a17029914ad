"""FineGym: events and their elements."""

import json

import pytest

from asl_kit.annotations.converters.finegym import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError

VIDEO, NAME = "A0xAXXysHUo", "E_002184_002237"
ELEMENTS = {
    "A_0003_0005": {"stages": 1, "timestamps": [[3.5, 5.75]]},
    "A_0010_0012": {"timestamps": [[10, 11], [11, 12]]},
}
EVENT = {"event": 4, "segments": ELEMENTS, "timestamps": [[2184.0, 2237.25]]}


def run(tmp_path, event=EVENT, **texts):
    (tmp_path / "finegym_annotation_info_v1.1.json").write_text(json.dumps({VIDEO: {NAME: event}}))
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    report = ConversionReport("finegym")
    annotations = convert([tmp_path], manifest=None, report=report)
    report.compare(annotations, None)
    assert report.differences == []
    return annotations, report


def segments(annotations):
    return [(segment.start, segment.end, segment.labels) for segment in annotations.videos[VIDEO].segments]


def test_elements_are_in_the_time_of_their_event(tmp_path):
    annotations, report = run(tmp_path)
    assert segments(annotations) == [
        (2184.0, 2237.25, {"event": "4"}),
        (2187.5, 2189.75, {"element": "element"}),
        (2194.0, 2196.0, {"element": "element"}),
    ]
    assert any("no list of the classes" in note for note in report.notes)


def test_lists_name_elements_and_split(tmp_path):
    lists = {"gym99_val_element": f"{VIDEO}_{NAME}_A_0003_0005 66\n"}
    lists["gym99_categories"] = (
        "Clabel: 0; set: 1; Glabel: 1; (VT) x\nClabel:  66; set: 41; Glabel: 210; (UB) giant; \n"
    )
    annotations, report = run(tmp_path, **lists)
    assert annotations.vocabularies == {"element": ["(VT) x", "(UB) giant"], "event": ["4"]}
    assert segments(annotations)[1:] == [(2187.5, 2189.75, {"element": "(UB) giant"})]
    assert annotations.videos[VIDEO].split == "val"
    assert [(item.outcome, item.reason) for item in report.items] == [
        ("excluded", "the element is in no list of classes")
    ]


def test_events_without_elements(tmp_path):
    annotations, _ = run(tmp_path, EVENT | {"segments": None})
    assert segments(annotations) == [(2184.0, 2237.25, {"event": "4"})]


FAULTS = {
    "event": (EVENT | {"event": "x"}, {}, f"{NAME}: video '{VIDEO}': expected .*event"),
    "times": (EVENT | {"segments": {"A": {"timestamps": []}}}, {}, f"{NAME}: A: .*expected timestamps"),
    "list": (EVENT, {"gym99_train_element": "x\n"}, "gym99_train_element.txt:1: expected `VIDEO_E_"),
    "two sets": (
        EVENT,
        {"gym99_train_element": "", "gym288_train_element": ""},
        "lists of gym288 and gym99",
    ),
    "categories": (EVENT, {"gym99_categories": "0 x\n"}, "gym99_categories.txt:1: expected `Clabel: 0"),
}


@pytest.mark.parametrize(("event", "texts", "error"), FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path, event, texts, error):
    with pytest.raises(AnnotationError, match=error):
        run(tmp_path, event, **texts)
