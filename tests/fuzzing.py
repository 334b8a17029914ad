"""Damage the hand-written samples in every way at hand and convert them: python tests/fuzzing.py --minutes 10

A damaged source may be refused, with one of asl-kit's own errors, or converted; then every item that is in the
source must be in the result or in the report. A case is made from its sample's name and a number alone, so a
failure is made again by `python tests/fuzzing.py --sample NAME --case NUMBER`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from asl_kit.annotations import read_annotations
from asl_kit.annotations.conversion import convert
from asl_kit.errors import AslKitError

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = sorted(path.parent.name for path in GOLDEN.glob("*/raw"))
PATIENCE_S = 20
TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".eaf")
NASTY_TEXTS = (
    "", " ", "nan", "inf", "-1", "1e999", "0", "9" * 400, "x", "é\u2028ß", "00:00:61.5", "-0.0", "1,5", "NULL", '"',
)  # fmt: skip
NASTY_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e999, float("nan"), 10**400, 1e-320, "", "x", "nan", "1", [], {}, [[]], [1, 2], [2, 1],
    [None, "a"], {"a": 1}, {"0": []}, [{}], "\udc00",
)  # fmt: skip


@dataclass
class Outcome:
    """What became of a damaged source: `refused`, `converted`, or what is wrong."""

    kind: str
    detail: str = ""

    @property
    def is_fault(self) -> bool:
        return self.kind not in ("refused", "converted")


def run_case(sample: str, case: int) -> Outcome:
    """Damage a sample in the way that belongs to this number, convert it and judge what happened."""
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name, "raw")
        shutil.copytree(GOLDEN / sample / "raw", raw)
        damages = damage(raw, random.Random(f"{sample} {case}"))
        return judge(sample.partition("--")[0], raw, Path(name), damages)


def judge(converter: str, raw: Path, folder: Path, damages: str) -> Outcome:
    sources = sorted(raw.iterdir()) or [raw]
    output = folder / "annotations.json"
    try:
        with at_most(PATIENCE_S):
            report = convert(converter, sources, output)
    except (AslKitError, OSError) as error:
        if output.exists():
            return Outcome("half-written", f"{damages}: {error}")
        if isinstance(error, AslKitError) and ("\n" in error.message.splitlines()[0] or not error.message.strip()):
            return Outcome("no message", damages)
        return Outcome("refused", str(error))
    except TimeoutError:
        return Outcome("hangs", damages)
    except BaseException:
        return Outcome("traceback", f"{damages}\n{traceback.format_exc()}")
    lost = [line for line in report.differences if " read, but " in line]
    if lost:
        return Outcome("loss", f"{damages}: {lost}")
    count = COUNTERS.get(converter)
    try:
        expected = count(raw) if count and "other suffix" not in damages else None
    except (ValueError, KeyError, TypeError, AttributeError):
        expected = None  # too damaged to be counted by simple means
    if expected is not None and expected != report.segments_read:
        return Outcome("silent loss", f"{damages}: {expected} items in the source, {report.segments_read} read")
    read_annotations(output)
    return Outcome("converted", damages)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def damage(raw: Path, chance: random.Random) -> str:
    """Damage one to three things and say what."""
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        files = sorted(path for path in raw.rglob("*") if path.is_file())
        if not files:
            break
        path = chance.choice(files)
        ways: list[Callable[[Path, random.Random], str]] = [damage_bytes, damage_file]
        if path.suffix in TEXT_SUFFIXES:
            ways += [damage_cells, damage_cells, damage_lines]
        if path.suffix == ".json":
            ways += [damage_values] * 6
        way = chance.choice(ways)
        done.append(f"{path.name}: {way.__name__}: {way(path, chance)}")
    return "; ".join(done)


def damage_bytes(path: Path, chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    here = chance.randrange(len(data) + 1)
    length = chance.choice((1, 1, 2, 8, 64))
    match chance.randrange(4):
        case 0:
            data[here : here + length] = chance.randbytes(length)
            what = "other bytes"
        case 1:
            del data[here : here + length]
            what = "bytes gone"
        case 2:
            data[here:here] = data[here : here + length] * 2
            what = "bytes repeated"
        case _:
            del data[here:]
            what = "cut off"
    path.write_bytes(data)
    return f"{what} at {here} ({length})"


def damage_file(path: Path, chance: random.Random) -> str:
    what = chance.choice(("empty", "gone", "a folder", "binary", "UTF-16", "other suffix", "spaces", "byte order mark"))
    data = path.read_bytes()
    match what:
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "a folder":
            path.unlink()
            path.mkdir()
        case "binary":
            path.write_bytes(chance.randbytes(300))
        case "UTF-16":
            path.write_bytes(data.decode("utf-8", "replace").encode("utf-16"))
        case "other suffix":
            path.rename(path.with_suffix(chance.choice((".json", ".txt", ".csv", ".eaf", ""))))
        case "spaces":
            path.write_bytes(b" \n" * 10)
        case _:
            path.write_bytes(b"\xef\xbb\xbf" + data)
    return what


def damage_lines(path: Path, chance: random.Random) -> str:
    lines = path.read_bytes().splitlines(keepends=True)
    if not lines:
        return "nothing"
    here = chance.randrange(len(lines))
    match chance.randrange(3):
        case 0:
            what = f"line {here} gone"
            del lines[here]
        case 1:
            what = f"line {here} twice"
            lines.insert(here, lines[here])
        case _:
            what = f"line {here} elsewhere"
            lines.insert(chance.randrange(len(lines)), lines.pop(here))
    path.write_bytes(b"".join(lines))
    return what


def damage_cells(path: Path, chance: random.Random) -> str:
    """Put a nasty text in the place of a word, a number or an attribute."""
    text = path.read_bytes().decode("utf-8", "replace")
    words = list(re.finditer(r"[^\s,;\t\"<>{}\[\]=]+", text))
    if not words:
        return "nothing"
    word, nasty = chance.choice(words), chance.choice(NASTY_TEXTS)
    path.write_bytes((text[: word.start()] + nasty + text[word.end() :]).encode("utf-8", "surrogatepass"))
    return f"{nasty[:20]!r} for {word[0]!r}"


def damage_values(path: Path, chance: random.Random) -> str:
    """Put a nasty value in the place of one in the JSON document, or take one out."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return "nothing"
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict | list):
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                places.append((value, key))
                walk(item)

    walk(document)
    if not places:
        return "nothing"
    holder, key = chance.choice(places)
    match chance.randrange(5):
        case 0:
            del holder[key]
            what = f"{key!r} gone"
        case 1 if isinstance(holder, list):
            holder.insert(chance.randrange(len(holder) + 1), holder[key])
            what = f"{key!r} repeated"
        case 2 if isinstance(holder, dict):
            holder[chance.choice(NASTY_TEXTS)] = holder.pop(key)
            what = f"{key!r} renamed"
        case _:
            holder[key] = value = chance.choice(NASTY_VALUES)
            what = f"{str(value)[:20]!r} for {key!r}"
    path.write_text(json.dumps(document), encoding="utf-8")
    return what


# Items of a source, counted with as little code as can be; None: a source of another layout.


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(path), newline="")))


def documents_of(raw: Path) -> list[Any]:
    return [json.loads(path.read_bytes()) for path in raw.rglob("*.json") if path.is_file()]


def count_lines(raw: Path) -> int | None:
    """Count the lines of the text files of classes."""
    files = [path for path in raw.rglob("*.txt") if path.name != "class_list.txt" and path.is_file()]
    if documents_of(raw) or not files:
        return None
    return sum(bool(line.strip()) for path in files for line in text_of(path).split("\n"))


def count_database(raw: Path) -> int | None:
    """Count the annotations of JSON files of ActivityNet's layout."""
    total = 0
    for path in raw.rglob("*"):
        document = json.loads(path.read_bytes()) if path.is_file() else None
        if not isinstance(document, dict) or not isinstance(document.get("database"), dict):
            return None
        for entry in document["database"].values():
            total += len(entry.get("annotations") or ()) + len(entry.get("ignored") or ())
    return total


def count_starts(raw: Path) -> int | None:
    """Count the rows of tables with a column `start`, commas between the columns, that have one."""
    total = 0
    for path in raw.iterdir():
        rows = rows_of(path)
        if not rows or "start" not in rows[0]:
            return None
        total += sum(bool((row["start"] or "").strip()) for row in rows)
    return total


def count_rows(*columns: str) -> Callable[[Path], int | None]:
    """Return a function that counts the rows of the CSV files with one of these columns."""

    def count(raw: Path) -> int | None:
        if any(raw.rglob("*.json")):
            return None
        tables = [rows_of(path) for path in raw.rglob("*.csv") if path.is_file()]
        return sum(len(rows) for rows in tables if rows and any(column in rows[0] for column in columns))

    return count


def count_actions(raw: Path) -> int | None:
    """Count the actions of Charades' tables: several in a cell."""
    if any(raw.rglob("*.json")):
        return None
    tables = [rows_of(path) for path in raw.rglob("*.csv") if path.is_file()]
    cells = [row["actions"] for rows in tables if rows and "actions" in rows[0] for row in rows]
    return sum(bool(part.strip()) for cell in cells for part in cell.split(";"))


def count_labels(raw: Path) -> int | None:
    """Count the labels of Ego4D's files, of every annotator."""
    documents = documents_of(raw)
    if not all(isinstance(document, dict) and "videos" in document for document in documents):
        return None
    clips = [clip for document in documents for video in document["videos"] for clip in video["clips"]]
    return sum(len(item["labels"]) for clip in clips for item in clip.get("annotations") or ())


def count_elements(raw: Path) -> int | None:
    """Count the annotations of ELAN's files."""
    tag = re.compile(r"<(?:ALIGNABLE|REF)_ANNOTATION\b")
    return sum(len(tag.findall(text_of(path))) for path in raw.rglob("*.eaf") if path.is_file())


COUNTERS: dict[str, Callable[[Path], int | None]] = {
    "activitynet": count_database,
    "activitynet-json": count_database,
    "activitynet12": count_database,
    "charades": count_actions,
    "csv": count_starts,
    "ego4d-mq": count_labels,
    "elan": count_elements,
    "epic-kitchens": count_rows("narration_id"),
    "epic-sounds": count_rows("annotation_id"),
    "fineaction": count_database,
    "hacs": count_database,
    "multithumos": count_lines,
    "thumos14": count_lines,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--sample", choices=SAMPLES)
    parser.add_argument("--case", type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    if options.case is not None:
        outcome = run_case(options.sample, options.case)
        console.print(f"{outcome.kind}: {outcome.detail}", markup=False)
        return int(outcome.is_fault)
    end = time.monotonic() + options.minutes * 60
    counts: dict[str, Counter[str]] = {sample: Counter() for sample in SAMPLES}
    faults = 0
    case = options.first
    while time.monotonic() < end:
        for sample in [options.sample] if options.sample else SAMPLES:
            outcome = run_case(sample, case)
            counts[sample][outcome.kind] += 1
            if outcome.is_fault:
                faults += 1
                console.print(f"FAULT --sample {sample} --case {case}: {outcome.kind}: {outcome.detail}", markup=False)
        case += 1
    table = Table("sample", "cases", "refused", "converted", "faults", title=f"cases {options.first} to {case - 1}")
    for sample, found in counts.items():
        wrong = found.total() - found["refused"] - found["converted"]
        table.add_row(sample, *map(str, (found.total(), found["refused"], found["converted"], wrong)))
    table.add_row("all", str(sum(c.total() for c in counts.values())), "", "", str(faults), style="bold")
    console.print(table)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
