"""Tables as people have them: headers in several languages, Excel's encodings, and what the user states."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_kit.annotations import AnnotationSet
from asl_kit.annotations.column_words import COLUMNS, DURATIONS, WORDS, fold_header, means, means_some_duration
from asl_kit.annotations.converters.csv_table import convert
from asl_kit.annotations.named_tables import Layout, NamedTable, read_named_table
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.table_text import EXPORT_HINT
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.errors import AnnotationError, UsageError

SEGMENTS = Layout(("video", "start", "end", "label"), ("split", "duration", "fps"), vocabularies=True)
VIDEOS = Layout(("video", "duration"), ("fps",), others=False)
SCORED = Layout(("video", "start", "end", "label", "score"))
EXCEL = Path(__file__).parent / "excel"
SPEC = importlib.util.spec_from_file_location("make_samples", EXCEL / "make_samples.py")
assert SPEC is not None
assert SPEC.loader is not None
make_samples = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_samples)


def read(folder: Path, content: str | bytes, layout: Layout = SEGMENTS, **stated: object) -> NamedTable:
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_named_table(path, layout, TableOptions(**stated))  # type: ignore[arg-type]


def header(folder: Path, *headers: str, layout: Layout = SEGMENTS, **columns: str) -> dict[str, str]:
    """Return the header of each column that is recognised in a table, and of the others under `others`."""
    cells = ";".join("1" for _ in headers)
    named = read(folder, f"{';'.join(headers)}\n{cells}\n", layout, columns=columns)
    found = {name: headers[place] for name, place in named.columns.items()}
    return found | ({"others": ", ".join(named.others)} if named.others else {})


def test_a_word_means_one_column() -> None:
    meanings = {
        (fold_header(word), name) for columns in WORDS.values() for name, words in columns.items() for word in words
    }
    meanings |= {(fold_header(word), "some duration") for words in DURATIONS.values() for word in words}
    count = Counter(word for word, _ in meanings)
    assert [word for word in count if count[word] > 1] == []
    assert not {fold_header(word) for word, name in meanings if name != "some duration"} & {*COLUMNS}
    assert all(columns.keys() <= {*COLUMNS} for columns in WORDS.values())
    assert WORDS.keys() == DURATIONS.keys()


@pytest.mark.parametrize(
    ("text", "name", "is_meant"),
    [
        ("Début (s)", "start", True),
        ("DEBUT", "start", True),
        ("Startzeit in Sekunden", "start", True),
        ("Begin Time - ss.msec", "start", True),
        ("Begin Time - hh:mm:ss.ms", "start", True),
        ("Begin Time - msec", "start", False),
        ("Start (s)", "start", True),
        ("start_s", "start", True),
        ("Stop [s]", "end", True),
        ("ends", "end", False),
        ("start (frame)", "start", False),
        ("Start (ms)", "start", False),
        ("Media duration (s)", "duration", True),
        ("Duration (s)", "duration", False),
        ("class (s)", "label", False),
        ("FPS (frame/s)", "fps", True),
        ("終了", "end", True),
        ("ビデオ", "video", True),
    ],
)
def test_accents_case_and_units(text: str, name: str, is_meant: bool) -> None:
    assert means(text, name) == is_meant


def test_words_for_two_durations() -> None:
    assert all(map(means_some_duration, ["Dauer", "DURÉE (s)", "Duration - ss.msec", "duração", "Duration (s)"]))
    assert not any(map(means_some_duration, ["Videodauer", "duration_ms", "Dauerlauf"]))


HEADERS: dict[str, tuple[tuple[str, ...], dict[str, str], dict[str, str]]] = {
    "a stated column goes before the column's own name": (
        ("video", "start", "end", "label", "label_en"),
        {"label": "label_en"},
        {"label": "label_en", "others": "label"},
    ),
    "a stated column goes before other words": (
        ("video", "start", "end", "class", "Verhalten", "action"),
        {"label": "Verhalten"},
        {"label": "Verhalten", "others": "class, action"},
    ),
    "a stated header may differ in case and accents": (
        ("video", "start", "end", "Étape  choisie"),
        {"label": "etape choisie"},
        {"label": "Étape  choisie"},
    ),
    "a stated header with an equals sign": (("video", "start", "end", "a=b"), {"label": "a=b"}, {"label": "a=b"}),
    "a stated vocabulary": (
        ("video", "start", "end", "Verb", "Nomen"),
        {"label:verb": "Verb", "label:noun": "Nomen"},
        {"label:verb": "Verb", "label:noun": "Nomen"},
    ),
    "a column's own name goes before other words": (
        ("video_id", "start", "end", "label", "Verhalten"),
        {},
        {"video": "video_id", "label": "label", "others": "Verhalten"},
    ),
    "no label beside vocabularies": (
        ("video", "start", "end", "label:verb", "Label"),
        {"label": ""},
        {"label:verb": "label:verb", "others": "Label"},
    ),
    "the duration of the segment": (
        ("video", "start", "end", "label", "Dauer"),
        {"duration": ""},
        {"others": "Dauer"},
    ),
    "the duration of the video": (
        ("video", "start", "end", "label", "Dauer"),
        {"duration": "Dauer"},
        {"duration": "Dauer"},
    ),
    "a word for one duration goes before a word for two": (
        ("video", "start", "end", "label", "Videodauer", "Dauer"),
        {},
        {"duration": "Videodauer", "others": "Dauer"},
    ),
    "BORIS, aggregated events": (
        ("Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)",
         "Coding duration", "Media duration (s)", "FPS (frame/s)", "Subject", "Behavior", "Behavioral category",
         "Behavior type", "Start (s)", "Stop (s)", "Duration (s)", "Media file name", "Image index start"),
        {},
        {"video": "Media file name", "start": "Start (s)", "end": "Stop (s)", "label": "Behavior",
         "duration": "Media duration (s)", "fps": "FPS (frame/s)",
         "others": "Observation id, Observation date, Description, Observation type, Source, Time offset (s), "
                   "Coding duration, Subject, Behavioral category, Behavior type, Duration (s), Image index start"},
    ),
    "ELAN, tab-delimited text": (
        ("File", "Begin Time - ss.msec", "End Time - ss.msec", "Duration - ss.msec", "gesture"),
        {"label": "gesture", "duration": ""},
        {"video": "File", "start": "Begin Time - ss.msec", "end": "End Time - ss.msec", "label": "gesture",
         "others": "Duration - ss.msec"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("headers", "columns", "expected"), HEADERS.values(), ids=HEADERS)
def test_which_column_is_which(
    tmp_path: Path, headers: tuple[str, ...], columns: dict[str, str], expected: dict[str, str]
) -> None:
    assert header(tmp_path, *headers, **columns) == {name: name for name in headers if name in COLUMNS[:4]} | expected


def test_words_in_other_tables(tmp_path: Path) -> None:
    assert header(tmp_path, "Dauer", "Datei", layout=VIDEOS) == {"video": "Datei", "duration": "Dauer"}
    found = header(tmp_path, "Puntuación", "archivo", "INICIO", "fin", "acción", "Duración", layout=SCORED)
    assert found == {
        "video": "archivo", "start": "INICIO", "end": "fin", "label": "acción", "score": "Puntuación",
        "others": "Duración",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "columns", "message", "hint"),
    [
        (
            "video;start;end;label;Dauer",
            {},
            r"t\.csv:1: column 'Dauer' could be the duration of the video or of the segment: state --column"
            r" duration=Dauer for the video's, --column duration= for the segment's; expected",
            "Rename",
        ),
        (
            "video;start;end;Klasse;Mein Verhalten;Verhalten",
            {},
            "columns 'Klasse' and 'Verhalten' could each be 'label': state one, as in --column label=Klasse",
            "",
        ),
        ("video;Start (s);t start;end;label", {}, r"state one, as in --column 'start=Start \(s\)'", ""),
        (
            "video;start;end;Verhalten",
            {"label": "Verhaltn"},
            r"t\.csv:1: column 'Verhaltn', stated for 'label', is not in the file",
            "Did you mean 'Verhalten'? The columns of the file are 'video', 'start', 'end', 'Verhalten'.",
        ),
        ("video;start;end;x;x", {"label": "x"}, "column 'x', stated for 'label', is there twice", "The columns of"),
        ("video;start;end;label", {"label": ""}, "column 'label' is missing", "The columns of"),
        ("video;start;end;label;Label", {}, "column 'label' appears twice", ""),
        ("video;start;end;label;note;note", {}, "column 'note' appears twice", ""),
    ],
    ids=["duration", "two words", "with unit", "not there", "there twice", "required", "own name twice", "twice"],
)
def test_a_header_that_is_refused(
    tmp_path: Path, headers: str, columns: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(AnnotationError, match=message) as caught:
        header(tmp_path, *headers.split(";"), **columns)
    assert str(caught.value.hint).startswith(hint)


@pytest.mark.parametrize(
    ("columns", "encoding", "message", "hint"),
    [
        ({"lable": "x"}, None, r"columns: 'lable' \(for 'x'\) is not the name of a column", "Did you mean 'label'?"),
        ({"label:": "x"}, None, "'label:' .* is not the name of a column", "Did you mean 'label'?"),
        ({"start": "Zeit", "end": "Zeit"}, None, "'Zeit' is given for 'start' and for 'end'", "None"),
        ({}, "cp1522", "there is no text encoding 'cp1522'", "Did you mean 'cp1252'?"),
        ({}, "rot13", "there is no text encoding 'rot13'", ""),
        ({}, "undefined", "there is no text encoding 'undefined'", ""),
        ({}, "a\0b", "there is no text encoding", ""),
        ({}, "", "there is no text encoding ''", ""),
    ],
)
def test_options_that_are_refused(columns: dict[str, str], encoding: str | None, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        TableOptions(columns, encoding)
    assert str(caught.value.hint).startswith(hint)


def test_a_column_that_this_table_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a table video,duration\[,fps\] has no column 'label'"):
        header(tmp_path, "video", "duration", "x", layout=VIDEOS, label="x")


ROW = "video;start;end;label\r\na;1,5;2;"

TEXTS: dict[str, tuple[bytes, str | None, str, str]] = {
    "cp1252": (
        (ROW + "schläft\r\n").encode("cp1252"),
        None,
        r"t\.csv:2: not UTF-8 text: byte 0xE4 at character 13 of the line; in cp1252, as Excel saves plain CSV in"
        r" Western Europe, it reads 'a;1,5;2;schläft'$",
        "If that is right, repeat the command with --encoding cp1252.",
    ),
    "a long line": (
        b"video\n" + b"x" * 1000 + b"\xe9" + b"y" * 1000,
        None,
        r"t\.csv:2: .* character 1001 of the line; .*, it reads 'x{40}éy{39}'$",
        "If that is right",
    ),
    "not cp1252 either": (
        b"video\nk\x81\n",
        None,
        r"t\.csv:2: .* byte 0x81 .*, which is not cp1252 either$",
        "Name its",
    ),
    "not the stated encoding": (
        b"video\nk\x81\n",
        "cp1252",
        r"t\.csv:2: not cp1252 text: byte 0x81 at character 2",
        "Name",
    ),
    "a mark that contradicts": (
        b"\xef\xbb\xbfvideo",
        "cp1252",
        r"t\.csv: starts with the byte order mark of UTF-8, but the stated encoding is cp1252",
        "Leave out the encoding",
    ),
    "UTF-16 stated for UTF-8": (b"video\n", "utf-16", r"t\.csv(:1)?: ", ""),
    "UTF-16 without a mark": (ROW.encode("utf-16-le"), None, r"t\.csv:1: has a NUL character", "If it is UTF-16"),
    "a workbook": (b"PK\x03\x04\x14\x00", None, r"t\.csv: a workbook \(\.xlsx, \.ods\) or another ZIP", EXPORT_HINT),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1", "cp1252", r"t\.csv: a workbook \(\.xls\)", EXPORT_HINT),
    "only a separator": (b"sep=;\n", None, r"t\.csv: empty", ""),
}


@pytest.mark.parametrize(("content", "encoding", "message", "hint"), TEXTS.values(), ids=TEXTS)
def test_bytes_that_are_refused(tmp_path: Path, content: bytes, encoding: str | None, message: str, hint: str) -> None:
    with pytest.raises(AnnotationError, match=message) as caught:
        read(tmp_path, content, encoding=encoding)
    assert str(caught.value.hint or "").startswith(hint)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "mac_roman", "utf-16-le", "cp850", "gb18030"])
def test_a_stated_encoding(tmp_path: Path, encoding: str) -> None:
    named = read(tmp_path, (ROW + "Überblick\r\n").encode(encoding), encoding=encoding)
    assert named.table.rows == [(2, ["a", "1,5", "2", "Überblick"])]
    assert named.notes == [f"t.csv: read as {encoding}"]


def test_utf8_that_was_read_as_cp1252_is_noted(tmp_path: Path) -> None:
    twice = (ROW + "Ã sauber;schläft  tief\r\n").encode().decode("cp1252").replace("a;", "a;", 1)
    named = read(tmp_path, twice.replace(";schl", " schl"))
    assert named.notes == [
        "t.csv: line 2: 'Ãƒ sauber schlÃ¤ft  tief' looks like 'Ã sauber schläft  tief' that was saved as UTF-8 and"
        " opened as cp1252"
    ]
    assert read(tmp_path, ROW + "Â, Ã, größer, SÃO, Å\r\n").notes == []


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;;"])
def test_the_separator_of_the_first_line(tmp_path: Path, first: str) -> None:
    named = read(tmp_path, f"{first}\r\nvideo;start;end;label;a, b, c, d, e\r\nx;1,5;2;run;\r\n")
    assert named.table.rows == [(3, ["x", "1,5", "2", "run", ""])]
    assert named.table.number("1,5") == 1.5
    with pytest.raises(AnnotationError, match=r"t\.csv:2: column 'video' is missing"):
        read(tmp_path, f"{first}\nclip;start;end;label\n")


def test_a_stated_separator_counts(tmp_path: Path) -> None:
    assert read(tmp_path, "sep=|\nvideo|start|end|label|a,b,c,d,e,f\nx|1|2|run|\n").table.columns[0] == "video"


def convert_table(path: Path, options: TableOptions = DEFAULT_TABLE) -> AnnotationSet:
    return convert([path], manifest=None, report=ConversionReport("csv"), table=options)


@pytest.mark.parametrize("name", make_samples.HEADERS)
def test_samples_of_excel(tmp_path: Path, name: str) -> None:
    assert (EXCEL / name).read_bytes() == make_samples.encoded(name)
    plain = tmp_path / "plain.csv"
    plain.write_text(
        "video,start,end,label,split,duration\n"
        'Käfig 1.mp4,0.5,2.25,"frisst ""Heu""",train,61.04\n'
        "Käfig 1.mp4,3.5,61,schläft; döst,,\n"
        "Gehege.mp4,,,,test,30\n",
        encoding="utf-8",
    )
    options = TableOptions(encoding="cp1252") if name == "german_ansi.csv" else DEFAULT_TABLE
    assert convert_table(EXCEL / name, options).videos == convert_table(plain).videos


NAMES = ("video", "start", "end", "label", "split", "duration")
CELLS = st.text("abz äöüéèñçãß-.", min_size=1, max_size=8).map(str.strip).filter(bool)
SEGMENT_ROWS = st.lists(
    st.tuples(CELLS, st.integers(0, 99), st.integers(1, 99), CELLS).map(
        lambda row: [row[0], f"{row[1]}.5", f"{row[1] + row[2]}.25", row[3], "train", "500"]
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def written_tables(draw: st.DrawFn) -> tuple[bytes, TableOptions, list[list[str]]]:
    """Return the bytes of a table in one language, the options to read it with, and its rows in plain English."""
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    languages = list(WORDS)[:6] if encoding == "cp1252" else list(WORDS)
    words = WORDS[draw(st.sampled_from(languages))]
    change = st.sampled_from([str, str.upper, str.capitalize, lambda word: word.replace(" ", "_")])
    headers = {name: draw(change)(draw(st.sampled_from((*words.get(name, ()), name)))) for name in NAMES}
    order = draw(st.permutations(NAMES))
    separator = draw(st.sampled_from(",;\t"))
    rows = draw(SEGMENT_ROWS)
    lines = [[headers[name] for name in order]]
    for row in rows:
        cells = dict(zip(NAMES, row, strict=True))
        if separator != "," and draw(st.booleans()):
            cells |= {name: cells[name].replace(".", ",") for name in ("start", "end")}
        lines.append([cells[name] for name in order])
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = "".join(separator.join(line) + end for line in lines)
    return text.encode(encoding), TableOptions(encoding="cp1252" if encoding == "cp1252" else None), rows


@given(written_tables())
def test_any_language_separator_and_encoding(
    tmp_path_factory: pytest.TempPathFactory, written: tuple[bytes, TableOptions, list[list[str]]]
) -> None:
    content, options, rows = written
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(content)
    found = convert_table(path, options)
    path.write_text("\n".join([",".join(NAMES), *map(",".join, rows)]), encoding="utf-8")
    assert found.videos == convert_table(path).videos
