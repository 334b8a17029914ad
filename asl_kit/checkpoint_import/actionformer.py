"""The import: weights and configuration of another program into one checkpoint of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from asl_kit import __version__
from asl_kit.annotations import read_annotations
from asl_kit.base.files import read_json, sha256_of
from asl_kit.checkpoint.files import save_checkpoint
from asl_kit.checkpoint.model import Checkpoint, Shape, build_network
from asl_kit.checkpoint_import.actionformer_config import ActionFormerConfig, read_config, to_recipe
from asl_kit.checkpoint_import.actionformer_weights import read_weights, translate
from asl_kit.errors import CheckpointError, SpecConflictError
from asl_kit.manifests.files import load_manifest
from asl_kit.store import FeatureStore
from asl_kit.store.spec import IMPORTED, ExtractionSpec

MANIFESTS = {"thumos": "thumos14", "anet": "activitynet13", "epic": "epic-kitchens", "ego4d": "ego4d-mq"}
"""Our manifests by ActionFormer's `dataset_name`."""


@dataclass(frozen=True)
class ImportedCheckpoint:
    """What an import made."""

    checkpoint: Checkpoint
    path: Path
    classes_from: str
    """Where the names of the classes come from."""
    notes: tuple[str, ...]
    """What could not be carried over; nothing of it changes the outputs."""

    def to_text(self) -> str:
        """Return a summary."""
        checkpoint = self.checkpoint
        shape, specs = checkpoint.shape, checkpoint.extraction
        dims = " + ".join(str(spec.feature_dim) for spec in specs)
        values = sum(value.numel() for value in checkpoint.weights.values())
        epoch = checkpoint.provenance["epoch"]
        lines = [
            f"{self.path}: {values:,} values, {checkpoint.provenance['weights']} weights"
            + (f" of epoch {epoch}" if epoch is not None else ""),
            f"classes: {len(checkpoint.class_names)}, named by {self.classes_from}",
            f"features: {dims} values, {_timing(specs[0])}",
            f"sequences of {shape.sequence_length} features, {shape.levels} pyramid levels",
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def _timing(spec: ExtractionSpec) -> str:
    if not spec.stride_frames:
        return "resized: they reach from a video's begin to its end"
    rate = "each video's own rate" if spec.fps is None else f"{spec.fps:g} frames a second"
    return f"windows of {spec.window_frames} frames, one every {spec.stride_frames}, at {rate}"


def import_checkpoint(
    file: Path,
    out: Path,
    *,
    config: Path,
    weights: str = "ema",
    annotations: Path | None = None,
    vocabulary: str | None = None,
    features: Sequence[Path] = (),
) -> ImportedCheckpoint:
    """Make a checkpoint of ours of one that ActionFormer wrote.

    The recipe says all that its configuration does, so that the outputs, losses and detections are ActionFormer's;
    videos longer than its point buffer, on which it fails, are read in windows.

    Parameters
    ----------
    file : Path
        ``epoch_*.pth.tar``.
    out : Path
        The checkpoint to write.
    config : Path
        The YAML file that it was trained with.
    weights : {"ema", "plain"}
        Which of its two sets of weights.
    annotations : Path, optional
        Unified annotations whose class names are taken. Default: of the configuration's own `json_file` where it can
        be found, else of the manifest of its `dataset_name`.
    vocabulary : str, optional
        Whose labels the model was trained on. Default: the only one of the right number of classes.
    features : sequence of Path
        Stores of the features that the model is to be used on: the checkpoint then says how these were made. Needed
        where the configuration joins folders without saying how many values each has.

    Raises
    ------
    CheckpointError
        If something cannot be read, is not supported or does not fit; the message lists all faults.
    SpecConflictError
        If the stores do not hold what the configuration says.
    """
    their_config = read_config(config)
    state, epoch = read_weights(file, weights)
    class_names, vocabulary, classes_from = _class_names(their_config, config, annotations, vocabulary)
    extraction = _extraction(their_config, config, features)
    recipe, notes = to_recipe(their_config, vocabulary=vocabulary, source=str(config))
    shape = Shape(their_config.input_dims, their_config.dataset.max_seq_len, their_config.levels)
    try:
        translated = translate(state, build_network(recipe, shape, len(class_names)).state_dict())
    except CheckpointError as fault:
        raise CheckpointError(
            f"{file}: {fault.message}", hint=f"{config} is not the configuration that these weights were trained with"
        ) from None
    checkpoint = Checkpoint(
        weights=translated,
        recipe=recipe,
        vocabularies={vocabulary or "": tuple(class_names)},
        shape=shape,
        extraction=extraction,
        provenance={
            "asl_kit": __version__,
            "torch": str(torch.__version__),
            "imported_from": "actionformer",
            "file": file.name,
            "file_sha256": sha256_of(file),
            "config": their_config.model_dump(mode="json"),
            "weights": weights,
            "epoch": epoch,
            "dataset": MANIFESTS.get(their_config.dataset_name, their_config.dataset_name),
            "vocabulary": vocabulary,
            "notes": list(notes),
        },
    )
    save_checkpoint(checkpoint, out)
    return ImportedCheckpoint(checkpoint, out, classes_from, tuple(notes))


def _class_names(
    config: ActionFormerConfig, path: Path, annotations: Path | None, vocabulary: str | None
) -> tuple[list[str], str | None, str]:
    """Return the class names in order of ActionFormer's label ids, their vocabulary, and where they are from."""
    count = config.dataset.num_classes
    hint = "name the classes with --annotations FILE [--vocabulary NAME]"
    if annotations is not None:
        annotated = read_annotations(annotations)
        vocabulary = annotated.vocabulary(_of_size(annotated.vocabularies, count, vocabulary))
        names = annotated.classes(vocabulary)
        if len(names) != count:
            raise CheckpointError(
                f"{annotations}: {len(names)} classes in vocabulary {vocabulary!r}; {path} says num_classes: {count}",
                hint=hint,
            )
        return list(names), vocabulary, str(annotations)
    manifest = load_manifest(MANIFESTS[config.dataset_name]) if config.dataset_name in MANIFESTS else None
    vocabularies = manifest.vocabularies if manifest is not None else {}
    vocabulary = _of_size(vocabularies, count, vocabulary)
    known = vocabularies.get(vocabulary or "", [])
    json_file = _find(config.dataset.json_file, path)
    if json_file is not None and count > 1:
        ids = _label_ids(json_file, count)
        # EPIC-KITCHENS has nouns without a segment: nothing names them here.
        spare = known if len(known) == count else [f"class {number}" for number in range(count)]
        return [ids.get(number, spare[number]) for number in range(count)], vocabulary, str(json_file)
    if len(known) != count or manifest is None:
        have = ", ".join(f"{name} {len(names)}" for name, names in vocabularies.items()) or "none"
        raise CheckpointError(
            f"{path}: dataset.num_classes: the names of {count} classes of dataset {config.dataset_name!r} are not"
            f" known, and dataset.json_file {config.dataset.json_file!r} is not there; vocabularies known: {have}",
            hint=hint,
        )
    return list(known), vocabulary, f"manifest {manifest.name}"


def _of_size(vocabularies: dict[str, list[str]], count: int, wanted: str | None) -> str | None:
    """Return the wanted vocabulary, or the only one with so many classes, or None."""
    fitting = [name for name, classes in vocabularies.items() if len(classes) == count]
    return wanted or (fitting[0] if len(fitting) == 1 else None)


def _find(name: str | None, config: Path) -> Path | None:
    """Return where a file that a configuration names lies: from here, or from the folders around the configuration."""
    if name is None:
        return None
    places = [Path(name), config.parent / name, config.parent.parent / name]
    return next((place for place in places if place.is_file()), None)


def _label_ids(path: Path, count: int) -> dict[int, str]:
    """Return the names of the classes by id, of an annotation file as ActionFormer reads it."""
    document = read_json(path, CheckpointError)
    try:
        found = {
            (int(segment["label_id"]), str(segment["label"]))
            for video in document["database"].values()
            for segment in video.get("annotations") or []
        }
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as fault:
        raise CheckpointError(
            f"{path}: not an annotation file as ActionFormer reads it: {fault!r}",
            hint="give the classes by --annotations",
        ) from fault
    names = dict(sorted(found))
    for number, label in sorted(found):
        other = f"; it is that of {names[number]!r} too" if names[number] != label else ""
        if other or not 0 <= number < count:
            raise CheckpointError(
                f"{path}: label_id {number} of {label!r}: expected one of 0 to {count - 1} for each label{other}"
            )
    return names


def _extraction(config: ActionFormerConfig, path: Path, features: Sequence[Path]) -> tuple[ExtractionSpec, ...]:
    """Return how the features of each stream were made."""
    data = config.dataset
    window, stride = (0, 0) if config.resized else (data.num_frames, data.feat_stride)
    if not features:
        folders = data.feat_folder if isinstance(data.feat_folder, tuple) else (data.feat_folder,)
        if len(folders) > 1 and len(config.input_dims) == 1:
            raise CheckpointError(
                f"{path}: dataset.input_dim: {data.input_dim} values from {len(folders)} folders, and it does not say"
                " how many from each",
                hint="name the stores of these features, in this order: --features STORE,STORE",
            )
        return tuple(
            ExtractionSpec(
                backbone=IMPORTED,
                weights="",
                feature_dim=dim,
                window_frames=window,
                stride_frames=stride,
                fps=None if config.resized else data.default_fps,
                clip_frames=0,
                sampling="resized" if config.resized else "imported",
            )
            for dim in config.input_dims
        )
    specs = [FeatureStore.open(store).spec for store in features]
    faults = []
    dims = [spec.feature_dim for spec in specs]
    if dims != list(config.input_dims) and (len(config.input_dims) > 1 or sum(dims) != config.input_dims[0]):
        faults.append(f"dataset.input_dim: {data.input_dim}, the stores hold {dims}")
    for store, spec in zip(features, specs, strict=True):
        found = {"num_frames": spec.window_frames, "feat_stride": spec.stride_frames, "default_fps": spec.fps}
        wanted = {"num_frames": window, "feat_stride": stride, "default_fps": data.default_fps}
        faults += [
            f"dataset.{key}: {wanted[key]}, {store} says {found[key]}"
            for key in found
            if wanted[key] != found[key] and (key != "default_fps" or (data.default_fps and not config.resized))
        ]
    if faults:
        raise SpecConflictError(
            f"{path}: the stores do not hold what the model was trained on:\n  " + "\n  ".join(faults),
            hint="import the features with the configuration's window, stride and frame rate",
        )
    return tuple(specs)
