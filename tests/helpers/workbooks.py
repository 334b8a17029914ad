"""Small workbooks (.xlsx), as Excel writes them (shared texts) or openpyxl, and with it BORIS (texts in the cells)."""

import io
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape

NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def workbook(rows: Sequence[Sequence[str]], *, shared: bool = False, sheets: int = 1) -> bytes:
    """Return a workbook with these cells in its first sheet; empty ones are left out, numbers are numbers."""
    texts: list[str] = []
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = []
        for column, text in enumerate(row):
            place = f"{chr(ord('A') + column)}{number}"
            if text.isdecimal():
                cells.append(f'<c r="{place}"><v>{text}</v></c>')
            elif text and shared:
                cells.append(f'<c r="{place}" t="s"><v>{len(texts)}</v></c>')
                texts.append(text)
            elif text:
                cells.append(f'<c r="{place}" t="inlineStr"><is><t>{escape(text)}</t></is></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    files = {
        f"xl/worksheets/sheet{n + 1}.xml": f"<worksheet {NAMESPACE}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        for n in range(sheets)
    }
    if shared:
        items = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
        files["xl/sharedStrings.xml"] = f"<sst {NAMESPACE}>{items}</sst>"
    return archive(files)


def archive(files: dict[str, str | bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as written:
        for name, content in files.items():
            written.writestr(name, content)
    return data.getvalue()
