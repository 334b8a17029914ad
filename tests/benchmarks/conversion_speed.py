"""Time to convert annotations, against only parsing the same files with the csv or json module.

Two generated sources, of the size of the largest published ones: the training table of
EPIC-KITCHENS-100 (67,217 rows, 495 videos, with the tables of classes and videos) and the JSON
file of ActivityNet 1.3 (19,994 videos, 28,108 segments). The whole of `asl-kit convert` is
timed, from reading to the written file, in a process that has imported it; the best of 3 rounds counts.

    python tests/benchmarks/conversion_speed.py
"""

from __future__ import annotations

import csv
import json
import random
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from asl_kit.annotations.conversion import convert
from asl_kit.manifests.files import load_manifest

ROUNDS = 3
EPIC_VIDEOS, EPIC_SEGMENTS = 495, 67_217
ACTIVITYNET = {"training": (10_024, 18_781), "validation": (4_926, 9_327), "testing": (5_044, 0)}
"""Videos and segments by split: the published videos, and some more segments than the published 23,064."""
EPIC_COLUMNS = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,"
    "narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
)


def timestamp(centiseconds: int) -> str:
    seconds, hundredths = divmod(centiseconds, 100)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{hundredths:02d}"


def write_epic(folder: Path) -> list[Path]:
    """Write tables in the layout of EPIC-KITCHENS-100."""
    generator = random.Random(0)
    verbs, nouns = (load_manifest("epic-kitchens").vocabularies[name] for name in ("verb", "noun"))
    videos = [f"P{number // 20 + 1:02d}_{number % 20 + 1:02d}" for number in range(EPIC_VIDEOS)]
    rows = [EPIC_COLUMNS.split(",")]
    for number in range(EPIC_SEGMENTS):
        video_id = videos[number * EPIC_VIDEOS // EPIC_SEGMENTS]
        start = generator.randrange(0, 300_000)
        stop = start + generator.randrange(10, 1_000)
        verb, noun = generator.randrange(len(verbs)), generator.randrange(len(nouns))
        frames = [str(centiseconds * 60 // 100) for centiseconds in (start, stop)]
        labels = [f"{verbs[verb]} {nouns[noun]}", verbs[verb], str(verb), nouns[noun], str(noun)]
        times = [timestamp(start), timestamp(start), timestamp(stop), *frames]
        rows.append(
            [f"{video_id}_{number}", video_id[:3], video_id, *times, *labels, f"['{nouns[noun]}']", f"[{noun}]"]
        )
    tables = {
        "EPIC_100_train.csv": rows,
        "EPIC_100_verb_classes.csv": [["id", "key", "instances"], *_classes(verbs)],
        "EPIC_100_noun_classes.csv": [["id", "key", "instances"], *_classes(nouns)],
        "EPIC_100_video_info.csv": [["video_id", "duration", "fps"], *([name, "3600.5", "59.94"] for name in videos)],
    }
    for name, lines in tables.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
    return [folder / name for name in tables]


def _classes(names: list[str]) -> list[list[str]]:
    return [[str(number), name, f"['{name}']"] for number, name in enumerate(names)]


def write_activitynet(folder: Path) -> list[Path]:
    """Write a file in the layout of ActivityNet 1.3."""
    generator = random.Random(0)
    classes = load_manifest("activitynet13").classes
    database: dict[str, dict[str, object]] = {}
    for split, (videos, segments) in ACTIVITYNET.items():
        lists: list[list[dict[str, object]]] = [[] for _ in range(videos)]
        for number in range(segments):
            start_s = generator.uniform(0, 100)
            segment = [start_s, start_s + generator.uniform(1, 90)]
            lists[number % videos].append({"label": generator.choice(classes), "segment": segment})
        for number, items in enumerate(lists):
            facts = {"subset": split, "duration": 200.0, "resolution": "320x240"}
            database[f"{split}_{number:08d}"] = {**facts, "url": "https://example.org", "annotations": items}
    path = folder / "activity_net.json"
    path.write_text(json.dumps({"version": "VERSION 1.3", "database": database}), encoding="utf-8")
    return [path]


def parse(sources: list[Path]) -> None:
    for path in sources:
        with path.open(encoding="utf-8", newline="") as file:
            json.load(file) if path.suffix == ".json" else list(csv.reader(file))


def best_s(work: Callable[[], object]) -> float:
    times_s = []
    for _ in range(ROUNDS):
        started_s = time.perf_counter()
        work()
        times_s.append(time.perf_counter() - started_s)
    return min(times_s)


def main() -> None:
    print(f"{'source':<16}{'videos':>8}{'segments':>10}{'parse s':>10}{'convert s':>11}{'segments/s':>12}{'ratio':>8}")
    for dataset, write in (("epic-kitchens", write_epic), ("activitynet", write_activitynet)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sources = write(folder)
            output = folder / "annotations.json"
            report = convert(dataset, sources, output)
            parse_s = best_s(partial(parse, sources))
            convert_s = best_s(partial(convert, dataset, sources, output))
        videos, segments = report.videos_read, report.segments_read
        print(
            f"{dataset:<16}{videos:>8,}{segments:>10,}{parse_s:>10.3f}{convert_s:>11.2f}"
            f"{segments / convert_s:>12,.0f}{convert_s / parse_s:>8.1f}"
        )


if __name__ == "__main__":
    main()
