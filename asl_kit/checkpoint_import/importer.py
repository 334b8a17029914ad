"""The import of a checkpoint of another program: its weights and configuration become a checkpoint of asl-kit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from asl_kit import __version__
from asl_kit.annotations import read_annotations
from asl_kit.base.files import read_json, sha256_of
from asl_kit.checkpoint.files import save_checkpoint
from asl_kit.checkpoint.model import Checkpoint
from asl_kit.checkpoint_import.actionformer_config import ActionFormerConfig
from asl_kit.checkpoint_import.their_config import TheirConfig, read_config, to_recipe
from asl_kit.checkpoint_import.tridet_config import TriDetConfig
from asl_kit.checkpoint_import.weights import read_weights, translate
from asl_kit.errors import CheckpointError, SpecConflictError
from asl_kit.manifests.files import load_manifest
from asl_kit.model.network import Localizer, Shape
from asl_kit.remote.address import Address
from asl_kit.store import FeatureStore
from asl_kit.store.spec import IMPORTED, ExtractionSpec

PROGRAMS: dict[str, type[TheirConfig]] = {program.program: program for program in (ActionFormerConfig, TriDetConfig)}
MANIFESTS = {
    "thumos": "thumos14", "anet": "activitynet13", "epic": "epic-kitchens", "ego4d": "ego4d-mq", "hacs": "hacs",
}  # fmt: skip
"""Names of manifests by their `dataset_name`."""


@dataclass(frozen=True)
class ImportedCheckpoint:
    """The result of an import."""

    checkpoint: Checkpoint
    path: Path
    classes_from: str
    """Source of the class names."""
    notes: tuple[str, ...]
    """Settings that were not converted; none of them affects the outputs of the network."""

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
            f"classes: {sum(map(len, checkpoint.vocabularies.values()))}, named by {self.classes_from}"
            + (", learned as one" if checkpoint.recipe.data.one_class else ""),
            f"features: {dims} values, {_timing(specs[0])}",
            f"sequences of {shape.sequence_length} features, {shape.levels} pyramid levels",
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def _timing(spec: ExtractionSpec) -> str:
    if not spec.stride_frames:
        return "resized: they span the whole video"
    rate = "the rate of each video" if spec.fps is None else f"{spec.fps:g} frames a second"
    return f"windows of {spec.window_frames} frames, one every {spec.stride_frames}, at {rate}"


def import_checkpoint(
    file: Path,
    out: Path,
    *,
    source: str = "actionformer",
    config: Path,
    weights: str = "ema",
    annotations: Path | None = None,
    vocabulary: str | None = None,
    features: Sequence[Path | Address] = (),
) -> ImportedCheckpoint:
    """Convert a checkpoint that another program wrote.

    The recipe reproduces the configuration, so outputs, losses and detections equal the program's. Videos longer
    than its point buffer, on which it fails, are processed in windows, or whole with TriDet's encoder.

    Parameters
    ----------
    file : Path
        ``epoch_*.pth.tar``.
    out : Path
        The checkpoint to write.
    source : {"actionformer", "tridet"}
        The program.
    config : Path
        The YAML file of the training.
    weights : {"ema", "plain"}
        Which of its two sets of weights.
    annotations : Path, optional
        Unified annotations with the class names. Default: the `json_file` of the configuration if it exists, else
        the manifest of its `dataset_name`.
    vocabulary : str, optional
        Vocabulary that the model was trained on. Default: the only one with the right number of classes.
    features : sequence of Path or Address
        Feature stores for the model, whose specs the checkpoint then records. Needed if the configuration joins
        folders without stating the number of values of each.

    Raises
    ------
    CheckpointError
        If something cannot be read, is not supported or does not match; the message lists all faults.
    SpecConflictError
        If the stores do not match the configuration.
    """
    program = PROGRAMS[source]
    their_config = read_config(config, program)
    state, epoch = read_weights(file, weights, program.title)
    class_names, vocabulary, classes_from = _class_names(their_config, config, annotations, vocabulary)
    extraction = _extraction(their_config, config, features)
    recipe, notes = to_recipe(their_config, vocabulary=vocabulary, source=str(config))
    shape = Shape(
        feature_dims=their_config.input_dims,
        sequence_length=their_config.dataset.max_seq_len,
        levels=their_config.levels,
    )
    try:
        expected = Localizer(recipe, shape, their_config.dataset.num_classes).state_dict()
        translated = translate(state, expected, program.weight_names)
    except CheckpointError as fault:
        raise CheckpointError(
            f"{file}: {fault.message}", hint=f"{config} is not the configuration of these weights"
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
            "imported_from": source,
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
    config: TheirConfig, path: Path, annotations: Path | None, vocabulary: str | None
) -> tuple[list[str], str | None, str]:
    """Return the class names in order of their label ids, their vocabulary, and their source.

    Classes that are learned as one are those of the dataset, whatever their number.
    """
    count = None if config.one_class else config.dataset.num_classes
    hint = "name the classes with --annotations FILE [--vocabulary NAME]"
    if annotations is not None:
        annotated = read_annotations(annotations)
        vocabulary = annotated.vocabulary(_of_size(annotated.vocabularies, count, vocabulary))
        names = annotated.classes(vocabulary)
        if count not in (None, len(names)):
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
    if json_file is not None and count != 1:
        ids = _label_ids(json_file, count)
        count = len(ids) if count is None else count
        # EPIC-KITCHENS has nouns without a segment, which this file does not name.
        spare = known if len(known) == count else [f"class {number}" for number in range(count)]
        return [ids.get(number, spare[number]) for number in range(count)], vocabulary, str(json_file)
    if count not in (None, len(known)) or manifest is None:
        have = ", ".join(f"{name} {len(names)}" for name, names in vocabularies.items()) or "none"
        raise CheckpointError(
            f"{path}: dataset.num_classes: the names of {count} classes of dataset {config.dataset_name!r} are not"
            f" known, and dataset.json_file {config.dataset.json_file!r} does not exist; known vocabularies: {have}",
            hint=hint,
        )
    return list(known), vocabulary, f"manifest {manifest.name}"


def _of_size(vocabularies: dict[str, list[str]], count: int | None, wanted: str | None) -> str | None:
    """Return the wanted vocabulary, or the only one with this number of classes (None: any), or None."""
    fitting = [name for name, classes in vocabularies.items() if count in (None, len(classes))]
    return wanted or (fitting[0] if len(fitting) == 1 else None)


def _find(name: str | None, config: Path) -> Path | None:
    """Return the path of a file that a configuration names, relative to here or to the configuration's folders."""
    if name is None:
        return None
    places = [Path(name), config.parent / name, config.parent.parent / name]
    return next((place for place in places if place.is_file()), None)


def _label_ids(path: Path, count: int | None) -> dict[int, str]:
    """Return the class names by id from an annotation file in ActionFormer's format; count None: any number."""
    document = read_json(path, CheckpointError)
    try:
        found = {
            (int(segment["label_id"]), str(segment["label"]))
            for video in document["database"].values()
            for segment in video.get("annotations") or []
        }
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as fault:
        raise CheckpointError(
            f"{path}: not an annotation file in ActionFormer's format: {fault!r}",
            hint="name the classes with --annotations FILE",
        ) from fault
    names = dict(sorted(found))
    count = len(names) if count is None else count
    for number, label in sorted(found):
        other = f"; it is also that of {names[number]!r}" if names[number] != label else ""
        if other or not 0 <= number < count:
            raise CheckpointError(
                f"{path}: label_id {number} of {label!r}: expected one of 0 to {count - 1} for each label{other}"
            )
    return names


def _extraction(config: TheirConfig, path: Path, features: Sequence[Path | Address]) -> tuple[ExtractionSpec, ...]:
    """Return the spec of each feature stream."""
    data = config.dataset
    window, stride = (0, 0) if config.resized else (data.num_frames, data.feat_stride)
    if not features:
        folders = data.feat_folder if isinstance(data.feat_folder, tuple) else (data.feat_folder,)
        if len(folders) > 1 and len(config.input_dims) == 1:
            raise CheckpointError(
                f"{path}: dataset.input_dim: {data.input_dim} values from {len(folders)} folders, without the number"
                " of values of each",
                hint="name the stores of these features in this order: --features STORE,STORE",
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
            f"{path}: the stores do not match the model's features:\n  " + "\n  ".join(faults),
            hint="import the features with the window, stride and frame rate of the configuration",
        )
    return tuple(specs)
