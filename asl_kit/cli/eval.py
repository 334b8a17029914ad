"""The command ``asl-kit eval``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asl_kit.cli import options
from asl_kit.cli.options import PATH
from asl_kit.cli.output import show

if TYPE_CHECKING:
    from asl_evaluate.scores import Scores


@click.command(name="eval")
@click.option(
    "--predictions",
    metavar="FILE[,FILE]",
    help="Score this ActivityNet detection JSON; with protocol epic-kitchens also its own JSON, or verbs,nouns.",
)
@options.checkpoints(required=False)
@options.required_annotations
@click.option("--features", metavar="STORE[,STORE]", help="Feature stores, in the order used in training.")
@options.protocol
@options.scoring
@options.video_scoring
@options.table
@options.device
@click.option("--out", type=PATH, metavar="DIR", help="Write scores.json here, and a checkpoint's detections.json.")
@click.option("--csv", "csv_file", type=PATH, metavar="FILE", help="Write the scores by class and tIoU as a table.")
@click.option(
    "--sensitivity", type=PATH, metavar="FILE", help="Write the checkpoint's learned action sensitivity as JSON."
)
@options.json_option("the scores")
def evaluate(
    *,
    predictions: str | None,
    checkpoint: tuple[Path, ...],
    features: str | None,
    csv_file: Path | None,
    out: Path | None,
    sensitivity: Path | None,
    json_path: str | None,
    **others: Any,
) -> None:
    """Score a predictions file, or a checkpoint on stored features.

    \b
    asl-kit eval --predictions detections.json --annotations annotations.json
    asl-kit eval --checkpoint model.ckpt --annotations annotations.json --features STORE --out results
    """
    _check_sources(predictions, checkpoint, features, sensitivity)

    from asl_evaluate.options import ScoringOptions
    from asl_evaluate.scoring import detect_and_score, evaluate_predictions, write_csv, write_results

    annotations, device = others["annotations"], others["device"]
    scoring = options.make_record(ScoringOptions, others)
    stores = options.split_stores(features)
    scores, detections = None, None
    if not checkpoint:
        scores = evaluate_predictions(options.split_paths(predictions, "--predictions"), annotations, scoring)
    else:
        if sensitivity is not None:
            from asl_evaluate.sensitivity import load_sensitive, write_sensitivity  # loads torch

            load_sensitive(checkpoint[0])  # fails before the model runs
        how = {"fusion_weights": others["fusion_weights"], "device": device}
        needs_scores = out is None or csv_file is not None or json_path is not None
        scores, detections = detect_and_score(
            checkpoint, annotations, stores, scoring, needs_scores=needs_scores, **how
        )
    _show(scores, json_path)
    if csv_file is not None and scores is not None:
        write_csv(csv_file, scores)
    if out is not None:
        write_results(out, scores, detections)
    if sensitivity is not None:
        write_sensitivity(sensitivity, checkpoint[0], annotations, stores, scoring, device=device)


def _show(scores: Scores | None, json_path: str | None) -> None:
    from asl_evaluate.terminal_tables import print_scores
    from asl_kit.base.console import err

    if scores is None:
        err().print("the labels of this split are withheld: its detections are written, and nothing is scored")
    else:
        show(scores, print_scores, json_path)


def _check_sources(
    predictions: str | None, checkpoint: tuple[Path, ...], features: str | None, sensitivity: Path | None
) -> None:
    if (predictions is None) == (not checkpoint):
        raise click.UsageError("give either --predictions FILE or --checkpoint FILE")
    if (not checkpoint) != (features is None):
        raise click.UsageError("--checkpoint FILE and --features STORE go together")
    if sensitivity is not None and len(checkpoint) != 1:
        raise click.UsageError("--sensitivity FILE needs one --checkpoint FILE")
