"""The settings of an extraction run: given one by one, in part by a preset, or all by another store."""

from __future__ import annotations

from pathlib import Path

from asl_extract.backbones.weights import DEFAULT
from asl_extract.extractor import Extractor
from asl_extract.presets import preset_settings
from asl_kit.errors import SpecConflictError, UsageError
from asl_kit.store import FeatureStore

_OF_THE_STORE = {
    "backbone": "--backbone",
    "preset": "--preset",
    "window_frames": "--window",
    "stride_frames": "--stride",
    "fps": "--fps",
    "frame_size": "--size",
    "flow": "--flow",
    "precision": "--precision",
    "decoder": "--decoder",
    "dtype": "--dtype",
}
"""What ``--like`` takes from the other store, with the option that is then not to be given."""


def make_extractor(
    *,
    backbone: str | None = None,
    preset: str | None = None,
    like: Path | None = None,
    weights: str | None = None,
    window_frames: int | None = None,
    stride_frames: int | None = None,
    fps: float | None = None,
    frame_size: int | None = None,
    flow: str | None = None,
    flow_weights: str | None = None,
    precision: str | None = None,
    device: str = "auto",
    decoder: str | None = None,
    decoder_threads: int = 1,
    batch_size: int | None = None,
    dtype: str | None = None,
) -> tuple[Extractor, str]:
    """Return the extractor for a run, and the type that features are stored in.

    Parameters
    ----------
    backbone : str, optional
        As in `Extractor.create`; needed, unless `preset` or `like` says which.
    preset : str, optional
        ``DATASET/NAME``: takes backbone, window, stride and frame rate from a manifest.
    like : Path, optional
        A store: all settings are its own; weights from a file must be given, and are checked by their hash.
    weights, window_frames, stride_frames, fps, frame_size, flow, flow_weights, precision
        What decides the features; as in `Extractor.create`. None: the default.
    device, decoder, decoder_threads, batch_size
        As in `Extractor.create`.
    dtype : {'float16', 'float32'}, optional
        Type of the stored features; float16 by default.

    Raises
    ------
    UsageError
        If no backbone is named, or something is given twice.
    SpecConflictError
        If features cannot be made as those of the store `like`.
    """
    given = {
        "backbone": backbone,
        "window_frames": window_frames,
        "stride_frames": stride_frames,
        "fps": fps,
        "frame_size": frame_size,
        "flow": flow,
        "precision": precision,
        "decoder": decoder,
    }
    if like is not None:
        everything = given | {"preset": preset, "dtype": dtype}
        refused = [option for name, option in _OF_THE_STORE.items() if everything[name] is not None]
        if refused:
            raise UsageError(
                f"--like {like} takes that from the store: leave out {', '.join(refused)}",
                hint=f"`asl-kit store info {like}` prints its settings as a command, to change and run",
            )
        store = FeatureStore.open(like)
        if store.spec.backbone == "imported":
            raise SpecConflictError(
                f"--like {like}: its features were imported: how to extract them from a video is not known",
                hint=f"`asl-kit store info {like}` prints the import as a command",
            )
        extractor = Extractor.from_spec(
            store.spec,
            weights=weights,
            flow_weights=flow_weights,
            device=device,
            batch_size=batch_size,
            decoder_threads=decoder_threads,
        )
        return extractor, store.dtype
    stated = {} if preset is None else preset_settings(preset, given)
    settings = {name: value for name, value in (given | stated).items() if value is not None}
    if "backbone" not in settings:
        raise UsageError(
            "no backbone is named",
            hint="give --backbone NAME, --preset DATASET/NAME or --like STORE; --list-backbones shows all names",
        )
    extractor = Extractor.create(
        **settings,
        weights=weights or DEFAULT,
        flow_weights=flow_weights or DEFAULT,
        device=device,
        batch_size=batch_size,
        decoder_threads=decoder_threads,
    )
    return extractor, dtype or "float16"
