"""More features like imported ones: a store that was imported as a preset is known to have been made so."""

from __future__ import annotations

from dataclasses import replace

from asl_extract.settings import ExtractionSettings
from asl_kit.errors import SpecConflictError
from asl_kit.feature_import.presets import list_presets
from asl_kit.feature_import.timing import Timing
from asl_kit.manifests.schema import FeatureSet
from asl_kit.store.spec import ExtractionSpec


def preset_of(imported: ExtractionSpec) -> FeatureSet:
    """Return the preset that features were imported as, if asl-kit extracts such features.

    Raises
    ------
    SpecConflictError
        If they were imported as none, as one that asl-kit cannot extract, or not as the preset states now.
    """
    name = imported.weights
    preset = list_presets().get(name)
    if preset is None:
        raise SpecConflictError(
            "these features were imported: how to extract them from a video is not known",
            hint="import published ones by --preset DATASET/NAME, if `asl-kit extract --list-presets` lists them;"
            " or train on features that asl-kit extracted",
        )
    if not preset.backbones:
        raise SpecConflictError(
            f"these features were imported as {name}, which asl-kit cannot extract from a video ({preset.title})",
            hint="train on features of `asl-kit extract --list-presets`",
        )
    timing = Timing.of(preset)
    if timing.fps is None:  # the import stated it, or took each video's own
        timing = replace(timing, fps=imported.fps)
    stated = timing.spec(dimension=preset.dimensions, weights=name)
    if differences := imported.differences(stated):
        lines = "\n  ".join(differences)
        raise SpecConflictError(
            f"these features were imported as {name}, but not as it states (the record against the preset):\n  {lines}",
            hint=f"import them again: asl-kit import-features DIR -o STORE --preset {name}",
        )
    return preset


def specs_like(imported: ExtractionSpec, *, precision: str) -> list[ExtractionSpec]:
    """Return how to extract features like imported ones, one spec for each stream, whose values lie side by side.

    The names and hashes of weights are left open: which file made the imported features is not recorded.

    Parameters
    ----------
    imported : ExtractionSpec
        The spec of the imported features.
    precision : str
        Arithmetic of the backbones.

    Raises
    ------
    SpecConflictError
        As `preset_of`.
    """
    backbones = preset_of(imported).backbones
    specs = []
    for backbone in backbones:
        stream = backbone if len(backbones) > 1 else None
        spec, _ = ExtractionSettings(preset=imported.weights, backbone=stream).resolve(precision=precision)
        specs.append(spec.model_copy(update={"fps": imported.fps}))
    return specs


def describe_differences(imported: ExtractionSpec) -> str:
    """Return what a user of features that are extracted like imported ones should know, as one paragraph.

    Raises
    ------
    SpecConflictError
        As `preset_of`.
    """
    preset = preset_of(imported)
    backbones = " and ".join(preset.backbones)
    return " ".join(
        [f"{imported.weights}: imported for training, extracted here by {backbones}.", *preset.extraction_notes]
    )
