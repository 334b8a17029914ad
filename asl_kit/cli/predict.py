"""`asl-kit predict`: the one command that needs two stages, extraction and evaluation, and so joins them here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from asl_evaluate.inference import NewVideo
    from asl_extract.extractor import Extractor
    from asl_kit.predictions import Detections

SHOWN = 10
"""Detections printed for each video."""


@click.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--checkpoint", required=True, type=click.Path(path_type=Path), help="A trained model (model.ckpt).")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Detections (JSON) to write; a model of several vocabularies writes a file of each: OUTPUT-verb.json.",
)
@click.option(
    "--weights",
    multiple=True,
    metavar="FILE",
    help="The backbone's weights, if they came from a file; with several feature stores, once for each in their order.",
)
@click.option("--flow-weights", metavar="FILE", help="The weights of the optical flow, if they came from a file.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
def predict(
    videos: tuple[Path, ...],
    checkpoint: Path,
    output: Path,
    weights: tuple[str, ...],
    flow_weights: str | None,
    device: str,
) -> None:
    """Find actions in new videos.

    Features are extracted as the model's own were: the checkpoint carries how.
    A video that cannot be read does not stop the others; the exit code is then 1.
    """
    from asl_kit.errors import AslKitError
    from asl_kit.predictions import write_tables
    from asl_kit.progress import out

    tables, failures = predict_videos(videos, checkpoint, weights=weights, flow_weights=flow_weights, device=device)
    if len(failures) < len(videos):
        written = write_tables(output, tables)
        for detections in tables.values():
            _print_best(detections)
        for path in written:
            out().print(str(path), markup=False)
    if failures:
        raise AslKitError("\n  ".join([f"{len(failures)} of {len(videos)} videos failed", *failures]))


def predict_videos(
    videos: Sequence[Path],
    checkpoint: Path,
    *,
    weights: Sequence[str] = (),
    flow_weights: str | None = None,
    device: str = "auto",
) -> tuple[dict[str, Detections], list[str]]:
    """Extract features from videos as the checkpoint says, and find actions in them.

    Parameters
    ----------
    videos : sequence of Path
        Video files; a file's name without its suffix becomes the video's id.
    checkpoint : Path
        A trained model.
    weights : sequence of str
        The backbones' weights, one for each feature store that the model was trained on, in their order:
        a file, ``default`` or ``random``. None: all as the checkpoint names them, which a file is not found by.
    flow_weights : str, optional
        The weights of the optical flow, if they came from a file.
    device : str
        Where to compute.

    Returns
    -------
    dict of str to Detections
        Of the videos that could be read, by vocabulary: see `asl_kit.detection.to_detections`.
    list of str
        One line for each video that could not.

    Raises
    ------
    CheckpointError, SpecConflictError
        If the checkpoint cannot be used, or features cannot be made as it says.
    UsageError
        If two videos have the same name, or there are more or fewer weights than feature stores.
    """
    from asl_evaluate.inference import detect_new
    from asl_extract.extractor import Extractor
    from asl_kit.checkpoint import load_checkpoint
    from asl_kit.errors import AslKitError, UsageError
    from asl_kit.progress import progress_bar

    ids = [video.stem for video in videos]
    repeated = sorted({name for name in ids if ids.count(name) > 1})
    if repeated:
        raise UsageError(
            f"two videos are named {repeated[0]!r}: their detections would have the same id",
            hint="rename one, or predict them one after the other",
        )
    trained = load_checkpoint(checkpoint)
    streams = trained.extraction
    if weights and len(weights) != len(streams):
        backbones = ", ".join(spec.backbone for spec in streams)
        raise UsageError(
            f"--weights is given {len(weights)} times, but the model takes features of {len(streams)}: {backbones}",
            hint="give it once for each, in this order; `default` stands for the publisher's",
        )
    given: Sequence[str | None] = weights or [None] * len(streams)
    extractors = [
        Extractor.from_spec(spec, weights=one, flow_weights=flow_weights, device=device)
        for spec, one in zip(streams, given, strict=True)
    ]
    extracted, failures = [], []
    with progress_bar("extracting", len(videos)) as bar:
        for video in videos:
            bar.note(video.name)
            try:
                extracted.append(_extract(video, extractors))
            except AslKitError as fault:
                failures.append(fault.message)
            bar.advance()
    return detect_new(trained, extracted, device=device), failures


def _extract(video: Path, extractors: Sequence[Extractor]) -> NewVideo:
    import numpy as np

    from asl_evaluate.inference import NewVideo
    from asl_kit.data import resample

    first, *others = [extractor.extract(video) for extractor in extractors]
    streams = [first.features, *(resample(other.features, other.grid, first.grid) for other in others)]
    return NewVideo(video.stem, np.concatenate(streams, axis=1), first.grid, first.duration_s)


def _print_best(detections: Detections) -> None:
    from rich.table import Table

    from asl_kit.progress import out

    for video_id in detections.video_ids:
        rows = sorted(detections.rows(video_id), key=lambda row: -row.score)
        table = Table(title=f"{video_id}: {len(rows)} detections, the {min(SHOWN, len(rows))} surest")
        for column in ("start s", "end s", "score"):
            table.add_column(column, justify="right")
        table.add_column("action")
        for row in rows[:SHOWN]:
            table.add_row(f"{row.start_s:.2f}", f"{row.end_s:.2f}", f"{row.score:.3f}", row.label)
        out().print(table)
