"""Files that are packed, or a page in place of the file: the message says what they are and what to do."""

import gzip
import io
import zipfile

import pytest

from asl_kit.annotations.conversion import read_sources
from asl_kit.errors import AnnotationError

NAMES = {
    "elan": "a.eaf",
    "via": "a.json",
    "csv": "a.csv",
    "boris": "a.tsv",
    "subtitles": "a.srt",
    "textgrid": "a.TextGrid",
    "coin": "COIN.json",
}


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "b")
    return file.getvalue()


PAGE = r"a web page \(HTML\), expected an? .* file"
FILES = {
    "page": (
        b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html></html>",
        r"a web page \(HTML\), expected an? .* file",
        "Download the",
    ),
    "page without a type": (
        b"<html lang='en'><body>",
        r"a web page \(HTML\), expected an? .* file",
        "Download the file",
    ),
    "gzip": (gzip.compress(b"x"), "a gzip archive, expected an? .* file", "gunzip"),
    "ZIP": (zipped(), "ZIP archive, expected an? .* file", ""),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, expected", "git lfs pull"),
}


@pytest.mark.parametrize(("data", "message", "hint"), FILES.values(), ids=FILES)
@pytest.mark.parametrize("converter", NAMES)
def test_what_a_file_is_and_what_to_do(tmp_path, converter, data, message, hint):
    path = tmp_path / NAMES[converter]
    path.write_bytes(data)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_sources(converter, [path])
    assert str(path) in str(caught.value)
    assert hint in (caught.value.hint or "")
