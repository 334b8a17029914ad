"""THUMOS14, from the official text files or from a JSON file made of them.

Text files (https://www.crcv.ucf.edu/THUMOS14/, temporal annotations of validation and
test): one file for each class and split, `BaseballPitch_val.txt`, `BaseballPitch_test.txt`,
with lines `video start end` in seconds. `Ambiguous_val.txt` and `Ambiguous_test.txt` hold
segments that belong to no class: they become `ignored`. Give the files, or their folders.

The text files state neither durations nor frame rates. Add a CSV file
`video,duration[,fps]` to the sources to state them; without it a video ends with its
last segment, and the report says so once. Each CliffDiving segment is also in the files of
Diving, and is kept in both.

JSON files, in the layout of `asl_kit.annotations.converters.activitynet_json`. Segments with the label `Ambiguous` are
ignored, and the split of a video is the one that its id states, whatever the file says:

- `thumos14.json` of ActionFormer (https://github.com/happyharrycn/actionformer_release): subsets `Validation`
  and `Test`, with `duration`, `fps`, `label_id` and `segment(frames)`.
- `thumos_14_anno.json` of OpenTAD (https://github.com/sming256/OpenTAD): subsets `training` (the official
  validation videos) and `validation` (the test videos), with `duration` and `frame`; video_test_0000270 and
  video_test_0001292 are left out.
- `thumos_gt.json` of VSGN and G-TAD (https://github.com/coolbay/VSGN, read at 3219369): times as text,
  without durations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_kit.annotations.collector import ACTION, Collector
from asl_kit.annotations.converters.activitynet_json import convert_published, read_database
from asl_kit.annotations.converters.thumos_text import collect_instances, with_splits_by_name
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import find_sources
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.video_facts import read_facts, refuse_unused, state_facts
from asl_kit.manifests.schema import Manifest

SPLITS = {"val": "validation", "test": "test"}
"""Split by the last part of the name of a text file."""
AMBIGUOUS = "Ambiguous"
"""Class of the ignored segments, and the reason that is recorded for them."""


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
) -> AnnotationSet:
    """Convert the text files, or one JSON file, of THUMOS14."""
    if any(path.suffix == ".json" for path in sources):
        refuse_unused(table, [])
        return convert_published(
            sources,
            dataset="thumos14",
            manifest=manifest,
            report=report,
            ignored_label=AMBIGUOUS,
            read=lambda path: with_splits_by_name(read_database(path)),
        )
    text_files, tables = find_sources(sources, [f"*_{split}.txt" for split in SPLITS])
    collector = Collector(report, mend=True, manifest=manifest)
    for path in text_files:
        label, _, split = path.stem.rpartition("_")
        labels = None if label == AMBIGUOUS else {ACTION: label}
        collect_instances(collector, path, labels=labels, reason=AMBIGUOUS, split=SPLITS[split])
    state_facts(collector, read_facts(collector, tables, table))
    return collector.finish([*text_files, *tables], dataset="thumos14")
