"""The text of a table, from the bytes that a spreadsheet program wrote.

Without a stated encoding the text must be UTF-8, or UTF-16 with a byte order mark. Other encodings cannot be told
apart: the message shows how the first line that is not UTF-8 would read in cp1252, the "ANSI" of Western Windows.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Final, NamedTuple

from asl_kit.base.files import read_bytes
from asl_kit.base.foreign_files import refuse_foreign
from asl_kit.errors import AnnotationError

_MARKS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_WORKBOOKS: Final = {
    b"PK\x03\x04": "a workbook (.xlsx, .ods) or another ZIP archive",
    b"\xd0\xcf\x11\xe0": "a workbook (.xls) or another Office file",
}
EXPORT_HINT = (
    'In Excel: File > Save As > "CSV UTF-8 (Comma delimited)". In LibreOffice: File > Save As > "Text CSV", Unicode'
    " (UTF-8)."
)
"""What to do about a workbook."""
_LEGACY = "cp1252"
_SHOWN = 40
"""Characters on each side of a wrong byte that a message shows."""
_TWICE = re.compile("[ÂÃ][\u0080-\u00ff\u0152-\u2122]|â[€‚„…†‡ˆ‰Š‹Œ]")
"""UTF-8 that was read as cp1252: `Ã¤` for `ä`."""
_CELL = re.compile('[,;\\t"]')


class TableText(NamedTuple):
    """The text of a file, its lines ended by line feeds, and notes on how it was read."""

    text: str
    notes: list[str]


def read_table_text(path: Path, encoding: str | None, *, can_name_encoding: bool = True) -> TableText:
    """Read the text of a table.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str or None
        A codec of Python. None: UTF-8, or UTF-16 with a byte order mark.
    can_name_encoding : bool
        Whether the user can name one, as the hint then proposes.

    Raises
    ------
    MissingFileError
        If there is no such file.
    AnnotationError
        If it is a workbook or another foreign file, or is not text in the encoding. The message names the line.
    """
    data = read_bytes(path)
    for start, what in _WORKBOOKS.items():
        if data.startswith(start):
            raise AnnotationError(
                f"{path}: {what}, expected a CSV file", hint=EXPORT_HINT if can_name_encoding else None
            )
    refuse_foreign(path, data, "a CSV file", AnnotationError)
    marked = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    if encoding is not None and marked is not None and _family(encoding) != _family(marked):
        raise AnnotationError(
            f"{path}: starts with the byte order mark of {_family(marked)}, but the stated encoding is {encoding}",
            hint="Leave out the encoding: a file with this mark is read correctly without.",
        )
    chosen = encoding or marked or "utf-8"
    try:
        text = data.decode(chosen)
    except UnicodeDecodeError as error:
        raise _not_text(path, data, error, chosen, can_name_encoding=can_name_encoding) from None
    except UnicodeError as error:  # of codecs that are not meant for files
        raise AnnotationError(f"{path}: not {chosen} text: {error}") from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        hint = "If it is UTF-16 without a byte order mark, name its encoding, utf-16-le." if can_name_encoding else None
        raise AnnotationError(f"{path}:{line}: has a NUL character, which no text has", hint=hint)
    notes = [] if encoding is None else [f"{path.name}: read as {encoding}"]
    if (mended := _mojibake(text)) is not None:
        notes.append(
            f"{path.name}: line {mended.line}: {mended.found!r} looks like {mended.meant!r} that was saved as UTF-8 and"
            f" opened as {_LEGACY}"
        )
    return TableText(text, notes)


def _family(encoding: str) -> str:
    name = codecs.lookup(encoding).name
    return "UTF-8" if name.startswith("utf-8") else "UTF-16" if name.startswith("utf-16") else name


def _not_text(
    path: Path, data: bytes, error: UnicodeDecodeError, encoding: str, *, can_name_encoding: bool
) -> AnnotationError:
    """Return the error of bytes that are not in the encoding; it shows the line in cp1252 if that may be meant."""
    family = "UTF-8" if encoding == "utf-8" else _family(encoding)
    if family == "UTF-16":
        return AnnotationError(f"{path}: not {family} text: {error.reason}", hint="Save the file as UTF-8.")
    first = max(data.rfind(b"\n", 0, error.start), data.rfind(b"\r", 0, error.start)) + 1
    line = len(data[:first].splitlines()) + 1
    column = len(data[first : error.start].decode(encoding, errors="replace")) + 1
    message = f"{path}:{line}: not {family} text: byte 0x{data[error.start]:02X} at character {column} of the line"
    if not can_name_encoding:
        return AnnotationError(message, hint="Save the file as UTF-8.")
    if family == "UTF-8":
        end = min(at for at in (data.find(b"\n", first), data.find(b"\r", first), len(data)) if at >= 0)
        excerpt = data[max(first, error.start - _SHOWN) : min(end, error.start + _SHOWN)]
        try:
            shown = excerpt.decode(_LEGACY)
        except UnicodeDecodeError:
            message += f", which is not {_LEGACY} either"
        else:
            return AnnotationError(
                f"{message}; in {_LEGACY}, as Excel saves plain CSV in Western Europe, it reads {shown!r}",
                hint=f"If that is right, repeat the command with --encoding {_LEGACY}. Otherwise name another encoding,"
                " or save the file as UTF-8.",
            )
    return AnnotationError(message, hint="Name its encoding with --encoding, or save the file as UTF-8.")


class _Mojibake(NamedTuple):
    line: int
    found: str
    meant: str


def _mojibake(text: str) -> _Mojibake | None:
    """Return the first cell that is UTF-8 read as cp1252, if there is one."""
    if _TWICE.search(text) is None:
        return None
    for number, line in enumerate(text.split("\n"), start=1):
        for cell in _CELL.split(line) if _TWICE.search(line) else ():
            try:
                meant = cell.encode(_LEGACY).decode()
            except (UnicodeEncodeError, UnicodeDecodeError):
                continue
            if meant != cell:
                return _Mojibake(number, cell.strip(), meant.strip())
    return None
