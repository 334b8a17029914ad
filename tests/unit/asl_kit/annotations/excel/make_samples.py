"""Write the samples in this folder: a table as Excel saves it in three countries and three formats.

Excel ends lines with CR LF, quotes a cell only where it must, separates cells with the system's list separator (a
semicolon where the decimal sign is a comma), and writes numbers as they are shown. "CSV (Comma delimited)" is in the
system's ANSI code page, cp1252 in Western Europe; "CSV UTF-8" starts with a byte order mark; "Unicode Text" is UTF-16LE
with one, and its cells are separated by tabs. The first line `sep=;` is what other programs write for Excel.

Run it after a change of the samples: python tests/unit/asl_kit/annotations/excel/make_samples.py
"""

from __future__ import annotations

import codecs
from pathlib import Path

FOLDER = Path(__file__).parent
ROWS = [
    ["Käfig 1.mp4", "0,5", "2,25", 'frisst "Heu"', "train", "61,04"],
    ["Käfig 1.mp4", "0:03,5", "0:01:01", "schläft; döst", "", ""],
    ["Gehege.mp4", "", "", "", "test", "30"],
]
HEADERS = {
    "german_ansi.csv": ["Datei", "Anfang", "Ende", "Verhalten", "Teilmenge", "Videodauer (s)"],
    "french_utf8.csv": ["Nom du fichier", "Début", "Fin", "Comportement", "Sous-ensemble", "Durée de la vidéo"],
    "spanish_unicode.txt": ["Archivo", "Inicio", "Fin", "Categoría", "Partición", "DURACIÓN TOTAL"],
}


def encoded(name: str) -> bytes:
    """Return the bytes of a sample."""
    separator = "\t" if name.endswith(".txt") else ";"
    lines = [separator.join(_quoted(cell, separator) for cell in row) for row in [HEADERS[name], *ROWS]]
    text = "".join(f"{line}\r\n" for line in lines)
    if name == "german_ansi.csv":
        return f"sep=;\r\n{text}".encode("cp1252")
    return (
        codecs.BOM_UTF8 + text.encode() if name == "french_utf8.csv" else codecs.BOM_UTF16_LE + text.encode("utf-16-le")
    )


def _quoted(cell: str, separator: str) -> str:
    must = separator in cell or '"' in cell
    return '"' + cell.replace('"', '""') + '"' if must else cell


if __name__ == "__main__":
    for sample in HEADERS:
        (FOLDER / sample).write_bytes(encoded(sample))
