import pytest
from helpers.support import GOLDEN, damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asl_kit.annotations.converters.elan import convert
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.tiers import TierOptions
from asl_kit.errors import AnnotationError, AslKitError, MissingFileError, UsageError

HEADER = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/a.mp4" MIME_TYPE="video/mp4"/>'
SLOTS = '<TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="t2" TIME_VALUE="2500"/>'


def aligned(name="a1", start="t1", end="t2", value="run"):
    references = f'ANNOTATION_ID="{name}" TIME_SLOT_REF1="{start}" TIME_SLOT_REF2="{end}"'
    return f"<ALIGNABLE_ANNOTATION {references}><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>"


def referring(name, to, value="blue"):
    references = f'ANNOTATION_ID="{name}" ANNOTATION_REF="{to}"'
    return f"<REF_ANNOTATION {references}><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION>"


def eaf(*annotations, header=HEADER, slots=SLOTS, units="milliseconds", tier='TIER_ID="action"'):
    inside = "".join(f"<ANNOTATION>{annotation}</ANNOTATION>" for annotation in annotations)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT FORMAT="3.0"><HEADER TIME_UNITS="{units}">{header}'
        f"</HEADER><TIME_ORDER>{slots}</TIME_ORDER><TIER {tier}>{inside}</TIER></ANNOTATION_DOCUMENT>"
    )


def run(tmp_path, *texts, table=None, tiers=()):
    sources = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.eaf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        sources.append(path)
    if table is not None:
        sources.append(tmp_path / "durations.csv")
        sources[-1].write_text(table)
    report = ConversionReport("elan")
    return convert(sources, manifest=None, report=report, tiers=TierOptions.parse(tiers)), report


MEDIA = {
    "absolute": ('<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/my%20videos/a.b.mp4"/>', "a.b"),
    "relative only": ('<MEDIA_DESCRIPTOR MEDIA_URL="" RELATIVE_MEDIA_URL="../x/b.mov"/>', "b"),
    "sound first": (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/s.wav" MIME_TYPE="audio/x-wav"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/v.mp4" MIME_TYPE="video/mp4"/>',
        "v",
    ),
    "several videos": (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/left.mp4" MIME_TYPE="video/mp4"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/right.mp4" MIME_TYPE="video/mp4"/>',
        "left",
    ),
    "number sign": ('<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/take #2.mp4"/>', "take #2"),
    "backslashes": ('<MEDIA_DESCRIPTOR MEDIA_URL="file:C:\\x\\c.mpg"/>', "c"),
    "none": ("", "0"),
}


@pytest.mark.parametrize(("header", "video_id"), MEDIA.values(), ids=MEDIA)
def test_video_is_named_by_its_file(tmp_path, header, video_id):
    annotations, _ = run(tmp_path, eaf(aligned(), header=header))
    assert list(annotations.videos) == [video_id]


def test_files_of_one_medium_are_taken_together(tmp_path):
    annotations, report = run(tmp_path, eaf(aligned(value="run")), eaf(aligned(value="walk")))
    assert [segment.labels["action"] for segment in annotations.videos["a"].segments] == ["run", "walk"]
    assert "2 files are of the video 'a': taken together" in report.notes
    assert (report.videos_read, report.segments_read) == (1, 2)


def test_empty_value_means_the_name_of_the_tier(tmp_path):
    annotations, _ = run(tmp_path, eaf(aligned(value=" \n"), tier='TIER_ID="jump" PARTICIPANT="p"'))
    (segment,) = annotations.videos["a"].segments
    assert (segment.labels, segment.attributes) == ({"action": "jump"}, {"tier": "jump", "participant": "p"})
    assert (segment.start, segment.end) == (1.0, 2.5)


def test_reference_before_its_parent_and_through_another(tmp_path):
    annotations, _ = run(tmp_path, eaf(referring("c", "b"), referring("b", "a1"), aligned()))
    assert {(item.start, item.end) for item in annotations.videos["a"].segments} == {(1.0, 2.5)}
    assert len(annotations.videos["a"].segments) == 3


def test_file_without_annotations_is_a_video_without_action(tmp_path):
    annotations, _ = run(tmp_path, eaf(), table="video,duration\na.mp4,0:09.5\n")
    assert (annotations.videos["a"].segments, annotations.videos["a"].duration) == ([], 9.5)
    with pytest.raises(AnnotationError, match=r"0\.eaf: video 'a': duration: not stated, .* video,duration"):
        run(tmp_path, eaf())


def test_folder_and_dataset_name(tmp_path):
    folder = tmp_path / "own" / "day 1"
    folder.mkdir(parents=True)
    (folder / "x.eaf").write_text(eaf(aligned()))
    (folder / "x.pfsx").write_text("settings of ELAN")
    annotations = convert([tmp_path / "own"], manifest=None, report=ConversionReport("elan"))
    assert (annotations.dataset, list(annotations.videos)) == ("own", ["a"])


BOMB = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {name} "{("&" + before + ";") * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
FAULTS = {
    "annotation in the wrong place": (
        eaf(aligned()).replace("<TIER ", "<EXTRA>" + aligned("a9") + "</EXTRA><TIER "),
        r"video 'a': 2 annotations in the file, but 1 directly in an ANNOTATION of a TIER",
    ),
    "empty": ("", r"0\.eaf: not an XML file: no element found"),
    "not XML": (b"\x89PNG\r\n\x00\x01", r"0\.eaf: not an XML file"),
    "cut": (eaf(aligned())[:-30], r"0\.eaf: not an XML file"),
    "unknown encoding": (b'<?xml version="1.0" encoding="klingon"?><a/>', r"0\.eaf: not an XML file: unknown encoding"),
    "wrong encoding": ('<?xml version="1.0" encoding="UTF-8"?><a b="ü"/>'.encode("latin-1"), "0.eaf: not an XML file"),
    "other XML": ("<html/>", r"0\.eaf: not a file of ELAN: expected <ANNOTATION_DOCUMENT>, found <html>"),
    "entity bomb": (
        BOMB + "]><ANNOTATION_DOCUMENT>&j;</ANNOTATION_DOCUMENT>",
        r"0\.eaf: has a document type declaration",
    ),
    "external entity": (
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><ANNOTATION_DOCUMENT>&e;</ANNOTATION_DOCUMENT>',
        r"has a document type declaration \(<!DOCTYPE x\)",
    ),
    "external DTD": ('<!DOCTYPE x SYSTEM "http://localhost:1/x.dtd"><x/>', "has a document type declaration"),
    "deep": ("<ANNOTATION_DOCUMENT>" + "<a>" * 100_000, r"0\.eaf: not an XML file"),
    "other units": (eaf(aligned(), units="NTSC-frames"), r"TIME_UNITS: must be milliseconds, found 'NTSC-frames'"),
    "shifted medium": (
        eaf(aligned(), header=HEADER.replace("/>", ' TIME_ORIGIN="1500"/>')),
        r"0\.eaf: video 'a': TIME_ORIGIN: the video is shifted by '1500' ms",
    ),
    "not aligned": (
        eaf(aligned(), slots='<TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="5"/><TIME_SLOT TIME_SLOT_ID="t2"/>'),
        r"0\.eaf: tier 'action': video 'a': annotation 'a1' not aligned: a time slot without TIME_VALUE; align in ELAN",
    ),
    "no slot": (eaf(aligned(end="t9")), r"annotation 'a1': video 'a': time slot 't9': no such time slot"),
    "no reference": (eaf(aligned().replace('TIME_SLOT_REF2="t2"', "")), r"time slot '': no such time slot"),
    "time not a number": (
        eaf(aligned(), slots=SLOTS.replace("2500", "2.5")),
        r"whole number of milliseconds, found '2\.5'",
    ),
    "time negative": (eaf(aligned(), slots=SLOTS.replace("2500", "-1")), r"whole number of milliseconds, found '-1'"),
    "time huge": (eaf(aligned(), slots=SLOTS.replace("2500", "9" * 5000)), r"whole number of milliseconds, found '999"),
    "slot twice": (eaf(aligned(), slots=SLOTS + SLOTS.replace("2500", "9")), r"time slot 't2': '9' contradicts '2500'"),
    "end before start": (
        eaf(aligned(start="t2", end="t1")),
        r"annotation 'a1': video 'a': end: must be after the start",
    ),
    "no length": (eaf(aligned(end="t1")), r"end: must be after the start \(1\.0\), found 1\.0"),
    "beyond the duration": (eaf(aligned()), r"end: must be within the video's duration \(2\.0\)"),
    "id twice": (eaf(aligned(), aligned()), r"2 annotations have the ANNOTATION_ID 'a1'"),
    "refers to itself": (
        eaf(aligned(), referring("b", "b")),
        r"annotation 'b': .* refers to 'b', which does not lead to",
    ),
    "refers in a circle": (eaf(referring("b", "c"), referring("c", "b")), r"annotation 'c': .* refers to 'b'"),
    "refers to nothing": (
        eaf(aligned(), referring("b", "x")),
        r"annotation 'b': .* refers to 'x', which does not lead to",
    ),
    "no tier id": (eaf(aligned(), tier=""), r"0\.eaf: a TIER has no TIER_ID"),
    "unknown annotation": (eaf("<X/>"), r"expected an ALIGNABLE_ANNOTATION or REF_ANNOTATION, found X"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        run(tmp_path, text, table="video,duration\na,2\n" if "within" in message else None)


def test_annotations_that_are_not_aligned_are_one_fault_a_tier(tmp_path):
    slots = SLOTS + '<TIME_SLOT TIME_SLOT_ID="t3"/>'
    words = [aligned("w1", "t1", "t3"), aligned("w2", "t3", "t2"), referring("w3", "w2")]
    with pytest.raises(
        AnnotationError, match=r"video 'a': 3 annotations, the first of them 'w1', not aligned"
    ) as caught:
        run(tmp_path, eaf(aligned(), *words, slots=slots))
    assert "\n" not in caught.value.message


def test_all_faults_at_once(tmp_path):
    with pytest.raises(AnnotationError, match="3 errors") as caught:
        run(tmp_path, eaf(aligned(start="x"), referring("b", "y")), eaf(aligned("c", "t2", "t1")))
    assert all(f"annotation '{name}'" in caught.value.message for name in ("a1", "b", "c"))


def test_a_long_line_of_references_takes_no_longer_than_it_is(tmp_path):
    references = [referring(f"r{number}", f"r{number + 1}") for number in range(20_000)]
    with pytest.raises(AnnotationError, match="does not lead to an annotation with a time"):
        run(tmp_path, eaf(aligned(), *references))


SOURCES = {
    "missing": ([], MissingFileError, r"none\.eaf: no such file"),
    "other suffix": (["a.txt"], AnnotationError, r"a\.txt: expected \*\.eaf, or a folder"),
    "empty folder": (["folder/x.txt"], AnnotationError, r"folder: no file named \*\.eaf in this folder"),
    "table only": (["d.csv"], AnnotationError, r"d\.csv: only tables of durations \(\.csv\); expected \*\.eaf as well"),
}


@pytest.mark.parametrize(("names", "error", "message"), SOURCES.values(), ids=SOURCES)
def test_wrong_sources(tmp_path, names, error, message):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    source = tmp_path / (names[0].split("/")[0] if names else "none.eaf")
    with pytest.raises(error, match=message):
        convert([source], manifest=None, report=ConversionReport("elan"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_file_is_one_message(tmp_path, data):
    content = (GOLDEN / "elan" / "raw" / "anna.eaf").read_bytes()
    try:
        annotations, report = run(tmp_path, data.draw(damage(content)))
    except AslKitError:
        return
    report.compare(annotations, None)
    assert report.differences == []


def test_chosen_tiers_have_their_vocabularies_and_others_are_reported(tmp_path):
    anna = (GOLDEN / "elan" / "raw" / "anna.eaf").read_bytes()
    annotations, report = run(tmp_path, anna, tiers=["action=verb", "colour=adjective"])
    assert [item.labels for item in annotations.videos["kitchen 1"].segments] == [
        {"verb": "open fridge"}, {"verb": "cut & peel"}, {"adjective": "red"},
    ]  # fmt: skip
    assert annotations.vocabularies == {"verb": ["cut & peel", "open fridge"], "adjective": ["red"]}
    report.compare(annotations, None)
    assert report.differences == []
    assert [(item.outcome, item.reason) for item in report.items] == [
        ("excluded", f"on {tier!r}, not among the chosen tiers") for tier in ("object", "talking")
    ]


def test_a_tier_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="--tier colours: no such tier in the sources; there are: 'action', 'object'"):
        run(tmp_path, (GOLDEN / "elan" / "raw" / "anna.eaf").read_bytes(), tiers=["colours"])


def test_tiers_that_are_not_chosen_need_no_times(tmp_path):
    slots = '<TIME_SLOT TIME_SLOT_ID="t1"/><TIME_SLOT TIME_SLOT_ID="t2"/>'
    other = eaf(aligned(), slots=slots).replace("</TIER>", '</TIER><TIER TIER_ID="empty"/>')
    annotations, report = run(tmp_path, other, tiers=["empty"], table="video,duration\na,2\n")
    assert (annotations.videos["a"].segments, len(report.items)) == ([], 1)


def typed(text, kind):
    tag = f'<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="part" CONSTRAINTS="{kind}"/>'
    return text.replace("</ANNOTATION_DOCUMENT>", f"{tag}</ANNOTATION_DOCUMENT>")


def test_slots_of_a_time_subdivision_are_spaced_evenly(tmp_path):
    slots = SLOTS + '<TIME_SLOT TIME_SLOT_ID="m1"/><TIME_SLOT TIME_SLOT_ID="m2"/>'
    words = [aligned("a", "t1", "m1"), aligned("b", "m1", "m2"), aligned("c", "m2", "t2")]
    text = typed(eaf(*words, slots=slots, tier='TIER_ID="x" LINGUISTIC_TYPE_REF="part"'), "Time_Subdivision")
    annotations, report = run(tmp_path, text)
    assert [(s.start, s.end) for s in annotations.videos["a"].segments] == [(1.0, 1.5), (1.5, 2.0), (2.0, 2.5)]
    assert "0.eaf: 2 time slots of subdivisions are spaced evenly, as ELAN does" in report.notes


def test_annotations_of_a_symbolic_subdivision_share_the_time_of_their_parent(tmp_path):
    parts = referring("p2", "a1", "two").replace("REF=", 'REF="a1" PREVIOUS_ANNOTATION="p1" X=') + ""
    first = referring("p1", "a1", "one")
    child = '<TIER TIER_ID="y" LINGUISTIC_TYPE_REF="part">' + "".join(
        f"<ANNOTATION>{part}</ANNOTATION>" for part in (parts, first)
    )
    text = typed(eaf(aligned()).replace("</TIER>", f"</TIER>{child}</TIER>"), "Symbolic_Subdivision")
    annotations, _ = run(tmp_path, text, tiers=["y"])
    found = [(s.start, s.end, s.labels["action"]) for s in annotations.videos["a"].segments]
    assert found == [(1.0, 1.75, "one"), (1.75, 2.5, "two")]
