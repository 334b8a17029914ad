"""Which files are taken of what users name."""

import pytest

from asl_kit.annotations.sources import by_name, find_files
from asl_kit.errors import AnnotationError, MissingFileError


@pytest.fixture
def folder(tmp_path):
    for name in ("b_val.txt", "a_val.txt", "deep/c_val.txt", "notes.md", "durations.csv", "Upper_VAL.TXT"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "d_val.txt").mkdir()
    return tmp_path


TAKEN = {
    "a folder": (["."], ["Upper_VAL.TXT", "a_val.txt", "b_val.txt", "deep/c_val.txt"]),
    "files": (["b_val.txt", "a_val.txt"], ["b_val.txt", "a_val.txt"]),
    "a file twice": (["a_val.txt", "a_val.txt"], ["a_val.txt"]),
    "a file beside": (["durations.csv", "deep"], ["durations.csv", "deep/c_val.txt"]),
}


@pytest.mark.parametrize(("sources", "taken"), TAKEN.values(), ids=TAKEN)
def test_files_taken(folder, sources, taken):
    found = find_files([folder / name for name in sources], ["*_val.txt"], beside=["*.csv"])
    assert found == [folder / name for name in taken]


REFUSED = {
    "missing": ("none_val.txt", MissingFileError, r"none_val\.txt: no such file", None),
    "another file": (
        "notes.md",
        AnnotationError,
        r"notes\.md: expected \*_val\.txt or x\.txt, or a folder that contains such files",
        "Also accepted: *.csv",
    ),
    "folder without": ("d_val.txt", AnnotationError, r"no file named \*_val\.txt or x\.txt in this folder", None),
}


@pytest.mark.parametrize(("source", "error", "message", "hint"), REFUSED.values(), ids=REFUSED)
def test_files_refused(folder, source, error, message, hint):
    with pytest.raises(error, match=message) as caught:
        find_files([folder / source], ["*_val.txt", "x.txt"], beside=["*.csv"])
    assert caught.value.hint == hint


def test_json_among_tables_is_told_to_come_alone(folder):
    (folder / "x.json").write_text("{}")
    with pytest.raises(AnnotationError) as caught:
        find_files([folder / "x.json"], ["*_val.txt"])
    assert caught.value.hint == "JSON files cannot be combined with other files."


def test_two_files_of_one_name(folder):
    (folder / "deep" / "a_val.txt").write_text("x")
    with pytest.raises(AnnotationError, match=r"deep/a_val\.txt: given twice, also as .*a_val\.txt"):
        by_name(find_files([folder], ["a_val.txt"]))
