"""The command ``asl-kit eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from asl_evaluate.protocols import PROTOCOLS
from asl_kit.cli import options

_PATH = click.Path(path_type=Path)


@click.command(name="eval")
@click.option(
    "--predictions",
    metavar="FILE[,FILE]",
    help="Score this ActivityNet detection JSON; protocol epic-kitchens: its own JSON too, or verbs,nouns.",
)
@click.option("--checkpoint", type=_PATH, metavar="FILE", help="Run this model on --features, and score what it finds.")
@options.required_annotations
@click.option("--features", metavar="STORE[,STORE]", help="Feature stores, in the order used in training.")
@click.option(
    "--protocol",
    type=click.Choice(list(PROTOCOLS)),
    help="Default: the dataset's, else activitynet. "
    + "; ".join(f"{name}: {protocol.summary}" for name, protocol in PROTOCOLS.items())
    + ".",
)
@options.scoring
@click.option("--class-agnostic", is_flag=True, help="Take all classes for one.")
@click.option(
    "--video-scores",
    type=_PATH,
    metavar="FILE",
    help="Name the classes by scores of whole videos, as ActionFormer does.",
)
@click.option(
    "--top-k", type=click.IntRange(min=1), default=2, show_default=True, help="Classes by --video-scores a detection."
)
@options.device
@click.option("--out", type=_PATH, metavar="DIR", help="Write scores.json here, and a checkpoint's detections.json.")
@click.option("--csv", "csv_file", type=_PATH, metavar="FILE", help="Write the scores by class and tIoU as a table.")
@click.option(
    "--sensitivity", type=_PATH, metavar="FILE", help="Write what the checkpoint has learned to look at, as JSON."
)
@options.json_option("the scores")
def evaluate(
    predictions: str | None,
    checkpoint: Path | None,
    annotations: Path,
    features: str | None,
    split: str | None,
    protocol: str | None,
    tiou: str | None,
    duplicates: Literal["keep", "drop"],
    vocabulary: str | None,
    class_agnostic: bool,
    video_scores: Path | None,
    top_k: int,
    device: str,
    out: Path | None,
    sensitivity: Path | None,
    json_path: str | None,
    csv_file: Path | None,
) -> None:
    """Score a predictions file, or a checkpoint on stored features.

    \b
    asl-kit eval --predictions detections.json --annotations annotations.json
    asl-kit eval --checkpoint model.pt --annotations annotations.json --features STORE --out results
    """
    if (predictions is None) == (checkpoint is None):
        raise click.UsageError("give either --predictions FILE or --checkpoint FILE")
    if (checkpoint is None) != (features is None):
        raise click.UsageError("--checkpoint FILE and --features STORE go together")
    if sensitivity is not None and checkpoint is None:
        raise click.UsageError("--sensitivity FILE needs --checkpoint FILE")

    from asl_evaluate.scoring import evaluate_predictions, score_checkpoint, write_results
    from asl_evaluate.table import print_scores, write_csv
    from asl_kit.base import console as progress
    from asl_kit.cli.output import write_json

    tables = None
    if predictions is not None:
        scores = evaluate_predictions(
            predictions=options.split_paths(predictions, "--predictions"),
            annotations=annotations,
            split=split,
            tiou=tiou,
            duplicates=duplicates,
            protocol=protocol,
            vocabulary=vocabulary,
            class_agnostic=class_agnostic,
            video_scores=video_scores,
            top_k=top_k,
        )
    elif checkpoint is not None and features is not None:
        if sensitivity is not None:
            from asl_evaluate.sensitivity import load_sensitive, write_sensitivity  # loads torch

            load_sensitive(checkpoint)  # what cannot be written is said before the work
        tables, scores = score_checkpoint(
            checkpoint=checkpoint,
            annotations=annotations,
            features=options.split_paths(features),
            split=split,
            tiou=tiou,
            duplicates=duplicates,
            protocol=protocol,
            vocabulary=vocabulary,
            class_agnostic=class_agnostic,
            video_scores=video_scores,
            top_k=top_k,
            device=device,
        )
    print_scores(scores, progress.err() if json_path == "-" else progress.out())
    if json_path is not None:
        write_json(scores.to_json(), json_path)
    if csv_file is not None:
        write_csv(csv_file, scores)
    if out is not None:
        write_results(out, scores, tables)
    if sensitivity is not None and checkpoint is not None and features is not None:
        write_sensitivity(
            sensitivity,
            checkpoint=checkpoint,
            annotations=annotations,
            features=options.split_paths(features),
            split=split,
            device=device,
        )
