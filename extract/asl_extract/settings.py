"""Settings of an extraction: what decides the features, and how they are made on this machine.

Each field is the value of the option of `asl-kit extract` of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asl_extract.backbones import get_backbone
from asl_extract.decoders import DEFAULT_DECODER, get_decoder
from asl_extract.flow.preparation import FLOW_METHODS, IMAGES
from asl_extract.presets import preset_settings
from asl_extract.remote.cache import CACHE_SIZE_GB, CacheSettings
from asl_extract.videos import parse_shard
from asl_kit.base.child_process import TIME_LIMIT_S
from asl_kit.errors import SpecConflictError, UsageError
from asl_kit.remote.access import SILENCE_S
from asl_kit.remote.address import Place
from asl_kit.store import FeatureStore
from asl_kit.store.arrays import DTYPES
from asl_kit.store.spec import MAX_FRAME_SIZE, MAX_WINDOW_FRAMES, ExtractionSpec
from asl_kit.torch_utils.device import PRECISIONS

MIN_FRAME_SIZE = 32

_OPTIONS = {
    "backbone": "--backbone",
    "preset": "--preset",
    "window_frames": "--window",
    "stride_frames": "--stride",
    "fps": "--fps",
    "pooling": "--pooling",
    "frame_size": "--size",
    "flow": "--flow",
    "precision": "--precision",
    "decoder": "--decoder",
    "dtype": "--dtype",
}
"""What another store states, or a preset in part, with the option that must then be left out."""


@dataclass(frozen=True)
class ExtractionSettings:
    """What decides the features. None takes the backbone's default, or what `preset` or `like` states.

    Parameters
    ----------
    backbone : str, optional
        A name that `asl_extract.backbones.get_backbone` takes; required without `preset` and `like`.
    preset : str, optional
        ``DATASET/NAME``: a manifest states backbone, window, stride and frame rate.
    like : path or address, optional
        A store: its settings are used. Weights that came from a file must be given, and are checked by their hash.
    weights : path, optional
        ``default``, ``random`` or the path of a state dict; see `asl_extract.backbones.weights.load_backbone`.
    pooling : str, optional
        How tokens become a feature, for backbones of `asl_extract.backbones.hugging_face`.
    window_frames, stride_frames : int, optional
        Frames that a feature looks at, and frames from one feature to the next.
    fps : float, optional
        Frame rate that videos are resampled to; None: each video's own.
    frame_size : int, optional
        Height and width of the backbone's input, in pixels.
    flow : str, optional
        A name in `asl_extract.flow.preparation.FLOW_METHODS`, for a backbone that looks at optical flow; or
        ``images``: the videos are images of it.
    flow_weights : path, optional
        Weights of the flow method, as `weights`.
    precision : {'float32', 'float16', 'bfloat16'}, optional
        Arithmetic of the backbone; by default float32 on a CPU, half precision on a GPU.
    decoder : str, optional
        A name in `asl_extract.decoders.DECODERS`; pyav by default.
    dtype : {'float16', 'float32'}, optional
        Type of the stored features; float16 by default.

    Raises
    ------
    UsageError
        If a value is out of range, or `like` is given with a setting that it states.
    """

    backbone: str | None = None
    preset: str | None = None
    like: Place | None = None
    weights: str | Path | None = None
    pooling: str | None = None
    window_frames: int | None = None
    stride_frames: int | None = None
    fps: float | None = None
    frame_size: int | None = None
    flow: str | None = None
    flow_weights: str | Path | None = None
    precision: str | None = None
    decoder: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        check_numbers(
            window_frames=self.window_frames,
            stride_frames=self.stride_frames,
            fps=self.fps,
            frame_size=self.frame_size,
        )
        if self.precision is not None and self.precision not in PRECISIONS:
            raise UsageError(f"unknown precision {self.precision!r}", hint=f"precisions: {', '.join(PRECISIONS)}")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise UsageError(f"dtype is {self.dtype!r}, expected {' or '.join(DTYPES)}")
        if self.like is not None and (options := self._given(_OPTIONS)):
            raise UsageError(
                f"--like {self.like} takes that from the store: leave out {options}",
                hint=f"`asl-kit store info {self.like}` prints its settings as a command, to change and run",
            )

    def with_precision(self, precision: str) -> ExtractionSettings:
        """Return these settings with a precision, unless they or the store `like` state one."""
        return self if self.like is not None or self.precision is not None else replace(self, precision=precision)

    def resolve(self, *, precision: str) -> tuple[ExtractionSpec, str]:
        """Return the spec that these settings ask for, and the type of the stored features.

        Names and hashes of weights are left open, unless it is the spec of the store `like`: no weights are loaded.

        Parameters
        ----------
        precision : str
            Arithmetic of the backbone if none is stated.

        Raises
        ------
        UsageError, MissingDependencyError
            If no backbone is named, or a setting does not suit it or the preset.
        SpecConflictError
            If the features of the store `like` were imported.
        """
        if self.like is not None:
            store = FeatureStore.open(self.like)
            if store.spec.is_imported:
                raise SpecConflictError(
                    f"--like {self.like}: its features were imported: how to extract them from a video is not known",
                    hint=f"`asl-kit store info {self.like}` prints the import as a command",
                )
            return store.spec, store.dtype
        chosen = replace(self, preset=None, **self._stated_by_preset())
        if chosen.backbone is None:
            raise UsageError(
                "no backbone is named",
                hint="give --backbone NAME, --preset DATASET/NAME or --like STORE; --list-backbones shows all names",
            )
        backbone = get_backbone(chosen.backbone, pooling=chosen.pooling or "")
        if chosen.flow is None and chosen.flow_weights is not None:
            raise UsageError(f"--flow-weights {chosen.flow_weights} is given without --flow")
        if chosen.flow == IMAGES and chosen.flow_weights is not None:
            raise UsageError(f"--flow {IMAGES} computes no flow: leave out --flow-weights {chosen.flow_weights}")
        spec = ExtractionSpec(
            backbone=backbone.name,
            weights="",
            pooling=backbone.pooling,
            feature_dim=backbone.feature_dim,
            window_frames=chosen.window_frames or backbone.window_frames,
            stride_frames=chosen.stride_frames or backbone.stride_frames,
            fps=chosen.fps,
            clip_frames=backbone.clip_frames,
            frame_size=chosen.frame_size or backbone.frame_size,
            flow=chosen.flow or "",
            precision=chosen.precision or precision,
            decoder=chosen.decoder or DEFAULT_DECODER,
        )
        return complete_spec(spec), chosen.dtype or "float16"

    def _stated_by_preset(self) -> dict[str, Any]:
        if self.preset is None:
            return {}
        stated = preset_settings(self.preset, backbone=self.backbone)
        if options := self._given(stated):
            raise UsageError(
                f"--preset {self.preset} states that already: leave out {options}",
                hint="`asl-kit extract --list-presets` shows what it states; or give all options and no preset",
            )
        return stated

    def _given(self, names: dict[str, Any]) -> str:
        """Return the options of those settings that were given."""
        return ", ".join(
            option for name, option in _OPTIONS.items() if name in names and getattr(self, name) is not None
        )


@dataclass(frozen=True)
class RunOptions:
    """How features are made on this machine. On a CPU the features do not depend on any of it but `batch_size`.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``. Several devices, as in ``cuda:0,cuda:1``, or ``all`` CUDA devices
        extract one video each at a time, each in a process of its own.
    ray : str, optional
        Address of a Ray cluster to work on, or ``local``: one actor a device, instead of `device`.
    shard : str, optional
        ``I/N``: work on the I-th of N parts of the videos, I from 1.
    workers : int, optional
        Processes that decode, for each device; 0: the one that computes; None: see
        `asl_extract.decoding.workers.choose_workers`.
    decoder_threads : int
        Threads of the decoder; 0: as many as there are cores.
    batch_size : int, optional
        Clips per forward pass; None: by device and backbone.
    time_limit_s : float
        A video fails when its decoder delivers nothing for so long. Decoders in other processes are then killed;
        in this process the limit is checked between frames only.
    on_error : {'skip', 'stop'}
        Whether a video that fails is skipped, or ends the run with its error.
    retry_failed : bool
        Whether to try videos again that failed before.
    replace_changed : bool
        Whether to extract videos again whose files have changed since they were stored; otherwise they fail.
    cache : path, optional
        Folder in which each process keeps the videos at addresses that it is working on, and fetches the next one;
        None: one of the user in the system's folder for temporary files.
    cache_size_gb : float
        Size of the videos that each process keeps there, at most, in 10^9 bytes.

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    device: str = "auto"
    ray: str | None = None
    shard: str | None = None
    workers: int | None = None
    decoder_threads: int = 1
    batch_size: int | None = None
    time_limit_s: float = TIME_LIMIT_S
    on_error: str = "skip"
    retry_failed: bool = False
    replace_changed: bool = False
    cache: str | Path | None = None
    cache_size_gb: float = CACHE_SIZE_GB

    def __post_init__(self) -> None:
        check_numbers(batch_size=self.batch_size)
        _ = self.cache_settings
        if self.on_error not in ("skip", "stop"):
            raise UsageError(f"on_error is {self.on_error!r}, expected skip or stop")
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"workers must be 0 or more, got {self.workers}")
        if not self.time_limit_s > 0:
            raise UsageError(f"time limit must be above 0 seconds, got {self.time_limit_s:g}")
        if self.shard is not None:
            parse_shard(self.shard)
        if self.ray is not None and self.device != "auto":
            raise UsageError(f"--ray gives each actor its device: leave out --device {self.device}")

    @property
    def cache_settings(self) -> CacheSettings:
        """Where videos at addresses are kept."""
        return CacheSettings(self.cache, self.cache_size_gb, min(SILENCE_S, self.time_limit_s))


def complete_spec(spec: ExtractionSpec) -> ExtractionSpec:
    """Return a spec whose derived fields are what this installation derives from the chosen ones.

    Raises
    ------
    UsageError, MissingDependencyError
        If a choice is wrong, or not available here.
    """
    backbone = get_backbone(spec.backbone, pooling=spec.pooling)
    if backbone.frames == "flow" and not spec.flow:
        raise UsageError(
            f"{backbone.name} looks at optical flow, and no method was named that computes it",
            hint=f"pass --flow METHOD, one of: {', '.join(FLOW_METHODS)}; or --flow {IMAGES} if you have it as images",
        )
    if backbone.frames != "flow" and spec.flow:
        raise UsageError(
            f"{backbone.name} looks at the video's own frames, not at optical flow, got --flow {spec.flow_method}",
            hint="leave --flow out, or use a backbone for flow: i3d_flow",
        )
    if spec.flow_method == IMAGES and spec.fps is not None:
        raise UsageError(
            f"--flow {IMAGES} and --fps {spec.fps:g}: images hold the motion between frames of their own rate",
            hint="leave out --fps, or compute the flow from the frames: --flow tvl1",
        )
    check_numbers(
        window_frames=spec.window_frames, stride_frames=spec.stride_frames, fps=spec.fps, frame_size=spec.frame_size
    )
    if backbone.fixed_size and spec.frame_size != backbone.frame_size:
        raise UsageError(f"{backbone.name} takes frames of {backbone.frame_size} pixels only, got {spec.frame_size}")
    return spec.model_copy(
        update={
            "feature_dim": backbone.feature_dim,
            "pooling": backbone.pooling,
            "clip_frames": spec.window_frames if backbone.whole_window else backbone.clip_frames,
            "sampling": "uniform",
            "resize": backbone.resize.scaled_to(spec.frame_size).describe(),
            "mean": backbone.mean,
            "std": backbone.std,
            "decoder": get_decoder(spec.decoder_name).version(),
        }
    )


def check_numbers(
    *,
    window_frames: int | None = None,
    stride_frames: int | None = None,
    batch_size: int | None = None,
    fps: float | None = None,
    frame_size: int | None = None,
) -> None:
    """Check the numbers that are given.

    Raises
    ------
    UsageError
        If one is out of range.
    """
    for name, value in (("window", window_frames), ("stride", stride_frames), ("batch size", batch_size)):
        if value is not None and value < 1:
            raise UsageError(f"{name} must be 1 or more, got {value}")
        if value is not None and value > MAX_WINDOW_FRAMES:
            raise UsageError(f"{name} must be at most {MAX_WINDOW_FRAMES}, got {value}")
    if fps is not None and not 0 < fps < 1000:
        raise UsageError(f"fps must be above 0 and below 1000, got {fps:g}")
    if frame_size is not None and frame_size < MIN_FRAME_SIZE:
        raise UsageError(f"frame size must be {MIN_FRAME_SIZE} pixels or more, got {frame_size}")
    if frame_size is not None and frame_size > MAX_FRAME_SIZE:
        raise UsageError(f"frame size must be {MAX_FRAME_SIZE} pixels or less, got {frame_size}")
