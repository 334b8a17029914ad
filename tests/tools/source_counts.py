"""Items of annotation sources, counted with as little code as can be: to be compared with what a converter reads.

The functions take the folder of a golden sample, damaged or not; they return None if it is of another layout than the
one they count.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from asl_kit.annotations import AnnotationSet
from asl_kit.annotations.report import ConversionReport


def items_read(converter: str, report: ConversionReport, annotations: AnnotationSet) -> int:
    """Return how many items of the source a converter has read: one may be several segments, or a part of one."""
    if converter == "boris":  # a state over several media is a segment in each
        parts = Counter(item.where for item in report.items if item.reason.startswith("part of a state"))
        return report.segments_read - sum(parts.values()) + len(parts)
    if converter == "textgrid":
        gaps = [int(note.split()[0]) for note in report.notes if "without a text" in note]
        return report.segments_read + sum(gaps)
    return report.segments_read


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")


def lines_of(path: Path) -> list[str]:
    return re.split(r"\r\n|\r|\n", text_of(path).rstrip())  # splitlines would also split at U+2028


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(path), newline="")))


def documents_of(raw: Path) -> list[Any]:
    return [json.loads(path.read_bytes()) for path in raw.rglob("*.json") if path.is_file()]


def count_lines(raw: Path) -> int | None:
    """Count the lines of the text files of classes."""
    files = [path for path in raw.rglob("*.txt") if path.name != "class_list.txt" and path.is_file()]
    if documents_of(raw) or not files:
        return None
    return sum(bool(line.strip()) for path in files for line in lines_of(path))


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


def count_steps(raw: Path) -> int | None:
    """Count the annotations of COIN's and YouCook2's JSON files."""
    entries = [entry for document in documents_of(raw) for entry in document["database"].values()]
    return sum(len(entry.get("annotation") or entry.get("annotations") or ()) for entry in entries)


def count_step_lines(raw: Path) -> int | None:
    """Count the lines of CrossTask's files of annotations."""
    files = [path for path in raw.rglob("*.csv") if re.fullmatch(r"[0-9]+_.+", path.stem) and path.is_file()]
    return sum(bool(line.strip()) for path in files for line in lines_of(path))


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
        lines = [line.strip() for line in lines_of(path)]
        if path.name == "mapping.txt":
            continue
        if all(re.fullmatch(r"[0-9]+-[0-9]+\s+.+", line) for line in lines):
            labels = [line.split(maxsplit=1)[1] for line in lines]
        else:
            labels = [label for label, _ in groupby(lines)]
        total += sum(label not in background for label in labels)
    return total


def count_marks(pattern: str, *suffixes: str) -> Callable[[Path], int]:
    """Return a function that counts the matches of a pattern in the text files with these suffixes."""

    def count(raw: Path) -> int:
        files = [path for path in raw.rglob("*") if path.suffix.lower() in suffixes and path.is_file()]
        return sum(len(re.findall(pattern, text_of(path), re.MULTILINE)) for path in files)

    return count


def count_cues(raw: Path) -> int:
    """Count the cues of subtitles, and the chapters of text files."""
    chapters = count_marks(r"^\[CHAPTER\]|^CHAPTER\d+=|^\[?\d+:\d[\d:.]*\]?(?:\s(?!.*-->)|$)", ".txt")
    return chapters(raw) + count_marks(r"-->", ".vtt", ".srt", ".txt")(raw)


def count_cells(raw: Path) -> int:
    """Count the cells of Datavyu's spreadsheets."""
    texts = [text_of(path) for path in raw.rglob("*.csv") if text_of(path).startswith("#4")]
    for path in raw.rglob("*.opf"):
        with zipfile.ZipFile(path) as archive:
            texts.append(archive.read("db").decode("utf-8-sig"))
    return sum(len(re.findall(r"^\d\d+:\d\d:\d\d:\d{3},", text, re.MULTILINE)) for text in texts)


def count_windows(raw: Path) -> int:
    """Count the windows of half a second that are left of AVA's points when those that touch are joined."""
    tracks: dict[tuple[str, ...], set[float]] = {}
    for path in filter(Path.is_file, raw.glob("*.csv")):
        for row in (next(csv.reader([line]), []) for line in lines_of(path)):
            if len(row) in (7, 8) and row[6].strip():
                key = (row[0].strip(), str(int(row[6])), *(cell.strip() for cell in row[7:]))
                tracks.setdefault(key, set()).add(float(row[1]))
    gaps = [later - earlier > 1 + 1e-6 for times in tracks.values() for earlier, later in pairwise(sorted(times))]
    return len(tracks) + sum(gaps)


def count_coded(raw: Path) -> int:
    """Count the events of BORIS's projects and exports, a state once."""
    total = 0.0
    for path in filter(Path.is_file, raw.iterdir()):
        if path.suffix == ".boris":
            document = json.loads(path.read_bytes())
            points = {
                entry["code"] for entry in document["behaviors_conf"].values() if entry["type"].startswith("Point")
            }
            for observation in document["observations"].values():
                is_video = observation["type"] == "MEDIA" and observation["file"]["1"]
                codes = [event[2] for event in observation["events"]]
                total += sum(0.5 if is_video and code not in points else 1 for code in codes)
            continue
        separator = "\t" if path.suffix == ".tsv" else ","
        kinds = [
            {"START", "STOP", "STATE", "POINT"} & set(row)
            for row in csv.reader(io.StringIO(text_of(path), newline=""), delimiter=separator)
        ]
        is_video = re.search(r"\w\.mp4", text_of(path))
        total += sum(0.5 if is_video and kind & {"START", "STOP"} else 1 for kind in kinds if kind)
    return round(total)


def count_runs_of_frames(raw: Path) -> int:
    """Count the stretches in which CVAT's tracks are visible, and in which frames carry a tag; and single shapes."""
    total = 0
    for path in raw.rglob("*.xml"):
        root = ElementTree.parse(path).getroot()
        for track in root.iterfind("track"):
            seen = [shape.get("outside", "0") == "0" for shape in track]
            total += max(1, sum(is_seen for is_seen, _ in groupby(seen)))
        carried: dict[tuple[str | None, str | None], set[int]] = {}
        for image in root.iterfind("image"):
            for element in image:
                if element.tag == "tag":
                    key = (image.get("task_id"), element.get("label", ""))
                    carried.setdefault(key, set()).add(int(image.get("id", "")))
                else:
                    total += 1
        for frames in carried.values():
            total += 1 + sum(later - earlier > 1 for earlier, later in pairwise(sorted(frames)))
    return total


def count_regions(raw: Path) -> int:
    """Count the ranges of Label Studio's regions, each once for every label, and the regions that have none."""
    total = 0
    for task in [task for document in documents_of(raw) for task in document]:
        passes = task.get("annotations", [])
        regions = [(region["value"], found["was_cancelled"]) for found in passes for region in found["result"]]
        if "data" not in task:  # JSON-MIN
            lists = [value for value in task.values() if isinstance(value, list)]
            regions = [(region, False) for values in lists for region in values if isinstance(region, dict)]
        for value, is_cancelled in regions:
            labels = (
                value.get("timelinelabels", value.get("labels", [])) if "ranges" in value or "start" in value else []
            )
            total += 1 if is_cancelled or not labels else len(set(labels)) * len(value.get("ranges", [()]))
    return total


def count_answers(raw: Path) -> int:
    """Count VIA's metadata, each once for every combination of ticked options."""
    total = 0
    for document in documents_of(raw):
        asked = {key: entry for key, entry in document["attribute"].items() if entry["anchor_id"] == "FILE1_Z2_XY0"}
        images = {
            key for key, view in document["view"].items() if document["file"][str(view["fid_list"][0])]["type"] == 2
        }
        for entry in document["metadata"].values():
            answers = [
                {part.strip() for part in (value.split(",") if asked[key]["type"] == 2 else [value])} - {""}
                for key, value in entry["av"].items()
                if key in asked
            ]
            is_segment = len(entry["z"]) > 1 and not entry.get("xy") and str(entry["vid"]) not in images
            total += math.prod(len(ticked) or 1 for ticked in answers) if is_segment else 1
    return total


def count_intervals(raw: Path) -> int | None:
    """Count the intervals and points that Praat's TextGrids state: the third number after the name of a tier."""
    total = 0
    for path in filter(Path.is_file, raw.rglob("*.TextGrid")):
        for tier in re.findall(r'"(?:Interval|Text)Tier"[^"]*"[^"]*"([^"]*)', text_of(path)):
            numbers = re.findall(r"(?<!\S)-?\d[\d.]*(?!\S)", tier)
            if len(numbers) < 3:
                return None
            total += int(numbers[2])
    return total


COUNTERS: dict[str, Callable[[Path], int | None]] = {
    "activitynet": count_database,
    "activitynet-json": count_database,
    "activitynet12": count_database,
    "anvil": count_marks(r"<el\b", ".anvil"),
    "ava": count_windows,
    "boris": count_coded,
    "charades": count_actions,
    "coin": count_steps,
    "crosstask": count_step_lines,
    "csv": count_starts,
    "cvat": count_runs_of_frames,
    "datavyu": count_cells,
    "ego4d-mq": count_labels,
    "egtea": count_clips,
    "elan": count_marks(r"<(?:ALIGNABLE|REF)_ANNOTATION\b", ".eaf"),
    "epic-kitchens": count_rows("narration_id"),
    "epic-sounds": count_rows("annotation_id"),
    "fineaction": count_database,
    "finegym": count_elements_of_events,
    "frame-labels": count_runs,
    "hacs": count_database,
    "label-studio": count_regions,
    "multithumos": count_lines,
    "perception-test": count_lists,
    "soccernet": count_events,
    "subtitles": count_cues,
    "textgrid": count_intervals,
    "thumos14": count_lines,
    "via": count_answers,
    "youcook2": count_steps,
}
