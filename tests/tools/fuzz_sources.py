"""Damaged annotation sources: refused, or converted with every item in the result or in the report."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shutil
import traceback
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from golden.regenerate import OPTIONS
from tools.fuzz_damage import damage
from tools.fuzz_outcomes import Outcome, at_most

from asl_kit.annotations import read_annotations
from asl_kit.annotations.conversion import convert
from asl_kit.errors import AslKitError

GOLDEN = Path(__file__).parents[1] / "golden"
SAMPLES = sorted(path.parent.name for path in GOLDEN.glob("*/raw"))


def run_sample(sample: str, chance: random.Random, folder: Path) -> Outcome:
    """Damage a hand-written sample, convert it and judge what happened."""
    raw = folder / "raw"
    shutil.copytree(GOLDEN / sample / "raw", raw)
    damages = damage(sorted(path for path in raw.rglob("*") if path.is_file()), chance)
    return judge(sample.partition("--")[0], raw, folder, damages)


def judge(converter: str, raw: Path, folder: Path, damages: str) -> Outcome:
    sources = sorted(raw.iterdir()) or [raw]
    output = folder / "annotations.json"
    try:
        with at_most():
            report = convert(converter, sources, output, **OPTIONS.get(converter, {}))
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
    return Outcome("accepted", damages)


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


def count_steps(raw: Path) -> int | None:
    """Count the annotations of COIN's and YouCook2's JSON files."""
    entries = [entry for document in documents_of(raw) for entry in document["database"].values()]
    return sum(len(entry.get("annotation") or entry.get("annotations") or ()) for entry in entries)


def count_step_lines(raw: Path) -> int | None:
    """Count the lines of CrossTask's files of annotations."""
    files = [path for path in raw.rglob("*.csv") if re.fullmatch(r"[0-9]+_.+", path.stem) and path.is_file()]
    return sum(bool(line.strip()) for path in files for line in text_of(path).splitlines())


def count_events(raw: Path) -> int | None:
    """Count the events of SoccerNet's files."""
    return sum(len(document["annotations"]) for document in documents_of(raw))


def count_lists(raw: Path) -> int | None:
    """Count the actions and sounds of Perception Test's files."""
    entries = [entry for document in documents_of(raw) for entry in document.values()]
    names = ("action_localisation", "sound_localisation")
    return sum(len(entry.get(name) or ()) for entry in entries for name in names)


def count_elements_of_events(raw: Path) -> int | None:
    """Count the events of FineGym's file, and their elements."""
    events = [event for document in documents_of(raw) for video in document.values() for event in video.values()]
    return sum(1 + len(event.get("segments") or ()) for event in events)


def count_clips(raw: Path) -> int | None:
    """Count the rows of EGTEA's table."""
    texts = [text_of(path) for path in raw.glob("*.csv") if path.is_file()]
    tables = [text for text in texts if "Clip Prefix" in text.partition("\n")[0]]
    rows = [row for text in tables for row in csv.reader(io.StringIO(text, newline=""), delimiter=";")]
    return sum(any(cell.strip() for cell in row) for row in rows) - len(tables)


def count_runs(raw: Path) -> int | None:
    """Count the runs of equal labels in text files with a label for each frame, without those of the background."""
    background = {"SIL", "background", "action_start", "action_end"}
    total = 0
    for path in filter(Path.is_file, raw.rglob("*.txt")):
        lines = [line.strip() for line in text_of(path).rstrip().splitlines()]
        if path.name == "mapping.txt":
            continue
        if all(re.fullmatch(r"[0-9]+-[0-9]+\s+.+", line) for line in lines):
            labels = [line.split(maxsplit=1)[1] for line in lines]
        else:
            labels = [label for label, _ in groupby(lines)]
        total += sum(label not in background for label in labels)
    return total


COUNTERS: dict[str, Callable[[Path], int | None]] = {
    "activitynet": count_database,
    "activitynet-json": count_database,
    "activitynet12": count_database,
    "charades": count_actions,
    "coin": count_steps,
    "crosstask": count_step_lines,
    "csv": count_starts,
    "ego4d-mq": count_labels,
    "egtea": count_clips,
    "elan": count_elements,
    "epic-kitchens": count_rows("narration_id"),
    "epic-sounds": count_rows("annotation_id"),
    "fineaction": count_database,
    "finegym": count_elements_of_events,
    "frame-labels": count_runs,
    "hacs": count_database,
    "multithumos": count_lines,
    "perception-test": count_lists,
    "soccernet": count_events,
    "thumos14": count_lines,
    "youcook2": count_steps,
}
