"""How features were made: the record that travels with a store and with a checkpoint."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from asl_kit.base.validation import StrictModel

MAX_WINDOW_FRAMES = 2**20
"""Of windows and strides: ten hours at 30 frames a second."""
MAX_FRAME_SIZE = 4096
"""Height and width of a backbone's input."""

IMPORTED = "imported"
UNNAMED = "unnamed"
"""`weights` of imported features without a name."""
OWN_FPS = "each video's own"
"""The backbone of features that were made elsewhere."""

Frames = Annotated[int, Field(ge=0, le=MAX_WINDOW_FRAMES, strict=True)]


class ExtractionSpec(StrictModel):
    """Everything that decides the value of a feature, given a video.

    Two stores may be mixed only if their specs are equal; `differences` says in which fields they differ.
    """

    backbone: str
    """Name of the backbone, as `asl-kit extract --backbone` takes it; `IMPORTED` for features made elsewhere."""
    weights: str
    """`random`, the publisher's name of the weights, or the file's name; empty: not known, and equal to any."""
    weights_sha256: str | None = None
    """SHA-256 of the weights' tensors in order of name, so that equal weights are equal wherever they came from."""
    feature_dim: Annotated[int, Field(ge=1, strict=True)]
    """Values per feature, D."""
    window_frames: Frames
    """Video frames that one feature looks at; 0: not known, of imported features."""
    stride_frames: Frames
    """Video frames from one feature to the next; 0: not known, of imported features."""
    fps: Annotated[float, Field(gt=0, strict=True)] | None = None
    """Frame rate that videos are resampled to; None: each video's own."""
    pooling: str = ""
    """How tokens become a feature, as `asl-kit extract --pooling` takes it; empty for backbones without a choice."""
    clip_frames: Frames
    """Frames given to the backbone: the window, sampled evenly; 0: not known, of imported features."""
    sampling: str = "uniform"
    """How the clip's frames are chosen from the window; of imported features, where in time they lie."""
    resize: str = ""
    """How a frame becomes the backbone's input size, in words that a program can compare."""
    frame_size: Annotated[int, Field(ge=0, le=MAX_FRAME_SIZE, strict=True)] = 0
    """Height and width of the backbone's input, in pixels."""
    mean: tuple[float, ...] = ()
    """Subtracted from each channel, after scaling to [0, 1]."""
    std: tuple[float, ...] = ()
    """Each channel is divided by it."""
    flow: str = ""
    """Method of the optical flow that the backbone looks at, and what decides its result; empty for RGB frames.

    The flow's values are brought from -20 ... 20 pixels to [0, 1] before `mean` and `std`.
    """
    flow_weights: str = ""
    """`random`, the publisher's name of the flow method's weights, or the file's name; empty where it has none."""
    flow_weights_sha256: str | None = None
    """SHA-256 of those weights' tensors, as `weights_sha256`."""
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    """Arithmetic of the backbone."""
    decoder: str = ""
    """Decoder of video files and its version: `decord 0.6.0`. Each video whose frames are images records its own."""

    @property
    def is_imported(self) -> bool:
        """Whether the features were made elsewhere, so that they cannot be extracted from a video."""
        return self.backbone == IMPORTED

    @property
    def decoder_name(self) -> str:
        """The decoder without its version, as `asl-kit extract --decoder` takes it."""
        return self.decoder.partition(" ")[0]

    @property
    def flow_method(self) -> str:
        """The method of optical flow without its details, as `asl-kit extract --flow` takes it; empty for RGB."""
        return self.flow.partition(",")[0]

    def differences(self, other: ExtractionSpec) -> list[str]:
        """Return one line for each field that differs: ``stride_frames: 4 against 8``, this spec's value first."""
        return [
            f"{name}: {self._shown(name)} against {other._shown(name)}"
            for name in type(self).model_fields
            if getattr(self, name) != getattr(other, name)
            and not (name == "weights" and "" in (self.weights, other.weights))
        ]

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if value is None:
            return OWN_FPS if name == "fps" else "not known"
        return repr(value)
