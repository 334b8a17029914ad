"""`--column` and `--encoding`, of every command that reads a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.command_line import run
from helpers.support import make_annotation_set, write_video

from asl_kit.annotations import read_annotations, write_annotations
from asl_kit.detections.json_format import read_predictions, write_predictions

COLUMNS = ["--column", "label=Was passiert", "--column", "score=Güte", "--encoding", "cp1252"]
HEADER = "Datei;Anfang;Ende;Was passiert;Güte"
ROWS = ["Käfig;2;9,5;springt höher;0,9", "Käfig;20;31;läuft;0,8", "b;40;88;läuft;0,7"]
TABLE = "\r\n".join([HEADER, *ROWS, ""]).encode("cp1252")
TRUTH = {
    "Käfig": ("test", [(2.0, 10.0, "springt höher"), (20.0, 30.0, "läuft")]),
    "b": ("test", [(40.0, 90.0, "läuft")]),
}


def invoke(*words: object) -> tuple[int, str, str]:
    result = run(*words)
    assert "Traceback" not in result.stderr
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with annotations, and the same predictions as a German table and as JSON."""
    monkeypatch.chdir(tmp_path)
    write_annotations(make_annotation_set(TRUTH, ["springt höher", "läuft"]), Path("a.json"))
    Path("p.csv").write_bytes(TABLE)
    Path("plain.csv").write_text(
        "video,start,end,label,score\n" + "".join(f"{row.replace(',', '.').replace(';', ',')}\n" for row in ROWS),
        encoding="utf-8",
    )
    write_predictions(Path("p.json"), read_predictions(Path("plain.csv")))
    return tmp_path


SCORED = "--annotations a.json --split test --tiou 0.5:0.5:0.1"
COMMANDS = {
    "eval": f"eval --predictions p {SCORED} --json out.json",
    "diagnose": f"diagnose --predictions p {SCORED} --resamples 100 --json out.json",
    "compare": f"compare p p {SCORED} --resamples 100 --json out.json",
    "check": "check p --annotations a.json -o out.json",
    "report": "report --predictions p -o out.json",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_predictions_are_read_alike(folder: Path, command: str) -> None:
    results = []
    for name, options in (("p.json", []), ("p.csv", COLUMNS)):
        words = [name if word == "p" else word for word in COMMANDS[command].split()]
        code, _, stderr = invoke(*words, *options)
        assert code == 0, stderr
        results.append(Path("out.json").read_text(encoding="utf-8").replace(name, "p"))
    assert results[0] == results[1]
    assert "note: p.csv: read as cp1252\n" in stderr
    assert "note: p.csv: column 'Was passiert' as 'label', 'Güte' as 'score', 'Datei' as 'video', " in stderr


def test_submit(folder: Path) -> None:
    annotations = read_annotations(Path("a.json")).model_copy(update={"dataset": "activitynet13"})
    write_annotations(annotations, Path("a.json"))
    command = ["submit", "--to", "activitynet", "--annotations", "a.json", "--predictions"]
    assert invoke(*command, "p.json", "-o", "1.json")[0] == 0
    assert invoke(*command, "p.csv", "-o", "2.json", *COLUMNS)[0] == 0
    assert Path("1.json").read_bytes() == Path("2.json").read_bytes()


def test_render(folder: Path) -> None:
    Path("videos").mkdir()
    write_video(folder / "videos" / "Käfig.mp4", frames=60)
    for name, options in (("p.json", []), ("p.csv", COLUMNS)):
        assert invoke("render", name, "videos", "--subtitles", f"of-{name}", *options)[0] == 1  # b has no file
    first, second = (next(Path(f"of-p.{suffix}").iterdir()) for suffix in ("json", "csv"))
    assert first.read_bytes() == second.read_bytes() != b""


WRONG = {
    "not UTF-8": (
        "eval --predictions p.csv --annotations a.json",
        1,
        "p.csv:1: not UTF-8 text: byte 0xFC at character 33 of the line; in cp1252, as Excel saves plain CSV in Western"
        " Europe, it reads 'Datei;Anfang;Ende;Was passiert;Güte'\nhint: If that is right, repeat the command with"
        " --encoding cp1252. Otherwise name another encoding, or save the file as UTF-8.",
    ),
    "not stated": (
        "check p.csv --annotations a.json --encoding cp1252",
        1,
        "p.csv:1: column 'label' is missing (also accepted: class, action, category, behavior, behaviour); ",
    ),
    "no such name": ("check p.csv --annotations a.json --column lable=x", 2, "columns: 'lable' (for 'x') is not the"),
    "no header": ("check p.csv --annotations a.json --column label", 2, "--column label: expected NAME=HEADER"),
    "given twice": (
        "check p.csv --annotations a.json --column label=a --column label=b",
        2,
        "--column label: given twice, for 'a' and 'b'",
    ),
    "no such encoding": ("render p.csv x --edl x --encoding ansi1", 2, "encoding: there is no text encoding 'ansi1'"),
    "JSON": (
        "eval --predictions p.json --annotations a.json --encoding cp1252",
        2,
        "p.json: columns or an encoding are",
    ),
    "checkpoint": (
        "eval --checkpoint x.ckpt --features x --annotations a.json --encoding cp1252",
        2,
        "columns or an encoding are stated, but no table is read",
    ),
    "JSON annotations": ("init a.json . --column label=x --device cpu", 2, "a.json: columns or an encoding are stated"),
    "another column": (
        "convert csv plain.csv -o out.json --column score=score",
        2,
        "columns: a table video,start,end,label[,split,duration,fps,path] has no column 'score'",
    ),
    "no table": ("convert activitynet-json x.json -o o.json --encoding cp1252", 2, "the converter 'activitynet-json'"),
    "no table among the sources": (
        "convert thumos14 thumos.json -o o.json --encoding cp1252",
        2,
        "columns or an encoding are stated, but no source is a table",
    ),
}


@pytest.mark.parametrize(("words", "code", "message"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_one_message(folder: Path, words: str, code: int, message: str) -> None:
    found, _, stderr = invoke(*words.split())
    assert (found, stderr[: len(message) + 7]) == (code, f"error: {message}")
    assert not (folder / "out.json").exists()


def test_a_table_of_durations(folder: Path) -> None:
    eaf = """<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"/><TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="1" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="2" TIME_VALUE="1500"/></TIME_ORDER>
        <TIER TIER_ID="t"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a" TIME_SLOT_REF1="1" TIME_SLOT_REF2="2">
        <ANNOTATION_VALUE>run</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""
    Path("Käfig.eaf").write_text(eaf)
    Path("d.csv").write_bytes("Film;Dauer\r\nKäfig.mp4;1:01,5\r\n".encode("cp1252"))
    code, out, _ = invoke(
        "convert", "elan", "Käfig.eaf", "d.csv", "-o", "out.json", "--column", "video=film", "--encoding", "cp1252"
    )
    assert (code, read_annotations(Path("out.json")).videos["Käfig"].duration) == (0, 61.5)
    assert "note: d.csv: column 'Film' as 'video', 'Dauer' as 'duration'" in out


def test_init_records_how_the_table_was_read(folder: Path) -> None:
    Path("videos").mkdir()
    for number in range(3):
        write_video(folder / "videos" / f"Käfig{number}.mp4", frames=60)
    rows = [f"Käfig{number}.mp4;0,5;2;läuft;Ann" for number in range(3)]
    Path("t.csv").write_bytes("\r\n".join(["Datei;von;bis;Was;Kategorie", *rows]).encode("cp1252"))
    stated = ["--column", "label=Was", "--encoding", "cp1252"]
    code, out, stderr = invoke("init", "t.csv", "videos", "--out", "project", "--device", "cpu", *stated)
    assert code == 0, stderr
    notes = [
        "t.csv: read as cp1252",
        "t.csv: column 'Was' as 'label', 'Datei' as 'video', 'von' as 'start', 'bis' as 'end'",
    ]
    assert all(note in out for note in notes)
    record = json.loads(Path("project/init.json").read_text(encoding="utf-8"))
    assert record["table"] == {"columns": {"label": "Was"}, "encoding": "cp1252", "notes": notes}
    annotations = read_annotations(Path("project/annotations.json"))
    assert annotations.vocabularies == {"action": ["läuft"]}
    assert annotations.source.notes[: len(notes)] == notes
    assert "t.csv" not in Path("project/run.sh").read_text(encoding="utf-8")
