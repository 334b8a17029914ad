"""Tasks read from files: predictions and the annotations that they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asl_evaluate.preparation import Duplicates, Task
from asl_evaluate.scoring import choose_split, default_tiou, parse_tiou
from asl_kit.annotations import read_annotations
from asl_kit.detections.json_format import read_predictions


def read_tasks(
    *,
    predictions: Sequence[Path],
    annotations: Path,
    split: str | None = None,
    tiou: str | None = None,
    duplicates: Duplicates = "keep",
    vocabulary: str | None = None,
) -> list[Task]:
    """Return a task for each predictions file; what is None comes from `choose_split` and `default_tiou`.

    Raises
    ------
    AslKitError
        As `read_annotations`, `read_predictions`, `choose_split` and `parse_tiou`.
    """
    tiou_thresholds = parse_tiou(tiou) if tiou is not None else None
    annotation_set = read_annotations(annotations)
    split = choose_split(annotation_set, split)
    return [
        Task(
            detections=read_predictions(path),
            annotations=annotation_set,
            split=split,
            tiou_thresholds=tiou_thresholds or default_tiou(annotation_set.dataset),
            duplicates=duplicates,
            vocabulary=vocabulary,
        )
        for path in predictions
    ]
