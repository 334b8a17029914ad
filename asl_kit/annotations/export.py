"""Export of the unified format to layouts that other programs read.

Each export returns the text, and a list of what the layout cannot represent.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import ACTION, NO_VALUE
from asl_kit.annotations.converters.activitynet_json import EXTENSION, OTHERS
from asl_kit.annotations.io import canonical, compact
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.base.files import write_text
from asl_kit.errors import UsageError


def to_activitynet(annotations: AnnotationSet, vocabulary: str | None = None) -> tuple[str, list[str]]:
    """Return ActivityNet JSON, which represents everything: converting it back gives the same file, byte for byte.

    `label` is a class of `vocabulary`, or of the first one; labels of other vocabularies are where only asl-kit reads.
    """
    name = next(iter(annotations.vocabularies)) if vocabulary is None else annotations.vocabulary(vocabulary)
    class_ids = {label: index for index, label in enumerate(annotations.classes(name))}
    database: dict[str, Any] = {}
    for video_id, video in canonical(annotations).videos.items():
        entry: dict[str, Any] = {"subset": video.split, "duration": video.duration}
        entry |= {key: value for key in ("fps", "frames", "path") if (value := getattr(video, key)) is not None}
        if video.attributes:
            entry["attributes"] = video.attributes
        if video.segments is None:
            entry["annotated"] = False
        entry["annotations"], others = [], []
        for segment in video.segments or ():
            record: dict[str, Any] = {"segment": [segment.start, segment.end]}
            record |= {"labels": segment.labels} if len(annotations.vocabularies) > 1 else {}
            record |= {"attributes": segment.attributes} if segment.attributes else {}
            if label := segment.labels.get(name):
                entry["annotations"].append({"label": label, "label_id": class_ids[label]} | record)
            else:
                others.append(record)
        if others:
            entry[OTHERS] = others
        if video.ignored:
            entry["ignored"] = [{"segment": [item.start, item.end], "reason": item.reason} for item in video.ignored]
        database[video_id] = entry
    own = {
        "dataset": annotations.dataset,
        "vocabulary": name,
        "vocabularies": annotations.vocabularies,
        "source": annotations.source.model_dump(),
    }
    lines = ",\n".join(f"  {compact(video_id)}: {compact(entry)}" for video_id, entry in database.items())
    text = f'{{\n "version": "asl-kit",\n "{EXTENSION}": {compact(own)},\n "database": {{\n{lines}\n }}\n}}\n'
    return text, []


def to_csv(annotations: AnnotationSet, vocabulary: str | None = None) -> tuple[str, list[str]]:
    """Return the table that `asl-kit convert csv` reads, with a column for each vocabulary, and what it leaves out."""
    names = list(annotations.vocabularies) if vocabulary is None else [annotations.vocabulary(vocabulary)]
    columns = ["label"] if names == [ACTION] else [f"label:{name}" for name in names]
    losses = [f"the vocabulary {other!r}" for other in annotations.vocabularies if other not in names]
    unannotated = ignored = attributes = facts_lost = unlabelled = no_value = 0
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["video", "start", "end", *columns, "split", "duration", "fps", "path"])
    for video_id, video in canonical(annotations).videos.items():
        facts = [video.split, repr(video.duration), "" if video.fps is None else repr(video.fps), video.path or ""]
        ignored += len(video.ignored)
        facts_lost += bool(video.attributes)
        unannotated += video.segments is None
        no_value += not NO_VALUE.isdisjoint(facts)
        if video.segments == []:
            writer.writerow([video_id, "", "", *[""] * len(columns), *facts])
        for segment in video.segments or ():
            labels = [segment.labels.get(name, "") for name in names]
            if not any(labels):
                unlabelled += 1
                continue
            attributes += bool(segment.attributes)
            no_value += not NO_VALUE.isdisjoint(labels)
            writer.writerow([video_id, repr(segment.start), repr(segment.end), *labels, *facts])
    for count, what in (
        (unannotated, "videos that are not annotated"),
        (ignored, "ignored segments"),
        (facts_lost, "videos' attributes"),
        (attributes, "segments' attributes"),
        (unlabelled, f"segments without a label in the vocabulary {vocabulary!r}"),
        (no_value, "labels, splits or paths such as 'NA', which a table's reader takes for an empty cell"),
    ):
        if count:
            losses.append(f"{count} {what}")
    return buffer.getvalue(), losses


EXPORTS: dict[str, Callable[..., tuple[str, list[str]]]] = {"activitynet": to_activitynet, "csv": to_csv}


def export(annotations: AnnotationSet, output: Path, *, layout: str, vocabulary: str | None = None) -> list[str]:
    """Write annotations in another layout.

    Parameters
    ----------
    annotations : AnnotationSet
        The annotations.
    output : Path
        The file to write.
    layout : {"activitynet", "csv"}
        The layout.
    vocabulary : str, optional
        The vocabulary whose labels are written. Default: all; for ActivityNet, the first one gives `label`.

    Returns
    -------
    list of str
        What was left out because the layout cannot represent it.

    Raises
    ------
    UsageError
        If there is no such layout.
    AnnotationError
        If the vocabulary does not exist.
    """
    if layout not in EXPORTS:
        raise UsageError(f"no layout {layout!r}; there are: {', '.join(EXPORTS)}")
    text, losses = EXPORTS[layout](annotations, vocabulary)
    write_text(output, text)
    return losses
