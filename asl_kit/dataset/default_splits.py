"""The splits to train on, to validate on and to score, where none is named.

Capitals do not matter: `Test` is `test`. Several splits that are used together are one name, joined by commas.
"""

from __future__ import annotations

from collections.abc import Iterable

from asl_kit.annotations import AnnotationSet
from asl_kit.annotations.schema import SPLIT_SEPARATOR
from asl_kit.errors import AnnotationError
from asl_kit.manifests.files import find_manifest
from asl_kit.manifests.schema import SplitRoles

TRAINING_NAMES = ("train", "training")
VALIDATION_NAMES = ("val", "validation", "valid", "dev")


def training_split(annotations: AnnotationSet, wanted: str | tuple[str, ...]) -> str:
    """Return the split to train on: those named; for `auto` the manifest's, or else `train` or `training`.

    Raises
    ------
    AnnotationError
        If `auto` finds none.
    """
    if wanted != "auto":
        return _joined(wanted)
    manifest = _manifest_splits(annotations)
    names = TRAINING_NAMES if manifest is None else (manifest.train,)
    found = _first_split(annotations, names)
    if found is None:
        splits = ", ".join(annotations.by_split()) or "none"
        raise AnnotationError(
            f"dataset {annotations.dataset}: no split named {' or '.join(names)}; the splits are: {splits}",
            hint="rename the split in the source, or name it with --set data.train_split=NAME when you train",
        )
    return found


def validation_split(annotations: AnnotationSet, wanted: str | tuple[str, ...], trained_on: str) -> str | None:
    """Return the split to validate on while training, or None.

    `auto` never selects a split that results are reported on: choosing a checkpoint by it would bias the result.
    """
    if wanted != "auto":
        return None if wanted == "none" else _joined(wanted)
    manifest = _manifest_splits(annotations)
    trained = {video.split.lower() for video in annotations.split(trained_on).values()}
    used = trained | ({manifest.evaluate} if manifest is not None else set())
    return _first_split(annotations, (name for name in VALIDATION_NAMES if name not in used))


def _joined(names: str | tuple[str, ...]) -> str:
    return names if isinstance(names, str) else SPLIT_SEPARATOR.join(names)


def evaluation_split(annotations: AnnotationSet, names: Iterable[str]) -> str | None:
    """Return the split to score: the manifest's, or else the first of these names that exists; None if none does."""
    manifest = _manifest_splits(annotations)
    return _first_split(annotations, [*([] if manifest is None else [manifest.evaluate]), *names])


def _manifest_splits(annotations: AnnotationSet) -> SplitRoles | None:
    """Return the splits of the dataset's manifest; None without one, or if the annotations have splits of their own.

    A table may be named like a dataset (`thumos14.csv`) and have other splits. It does if its training split has a
    usual name that is not the dataset's.
    """
    manifest = find_manifest(annotations.dataset)
    if manifest is None:
        return None
    own_names = [name for name in TRAINING_NAMES if name != manifest.splits.train]
    return None if _first_split(annotations, own_names) is not None else manifest.splits


def _first_split(annotations: AnnotationSet, names: Iterable[str]) -> str | None:
    # `test` sorts after `Test` and is preferred to it.
    splits = {name.lower(): name for name in annotations.by_split()}
    return next((splits[name] for name in names if name in splits), None)
