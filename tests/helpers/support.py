"""Small videos, stores, annotations and checkpoints for tests."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from asl_kit.annotations import AnnotationSet, write_annotations
from asl_kit.grid import FeatureGrid
from asl_kit.store import FeatureStore, SourceVideo
from asl_kit.store.spec import ExtractionSpec

FPS = 30.0


def make_spec(**changes: Any) -> ExtractionSpec:
    """Return the spec of features of 4 values, with windows of 16 frames and a stride of 4 frames."""
    fields = {"backbone": "x3d_xs", "weights": "random", "feature_dim": 4, "window_frames": 16, "stride_frames": 4}
    return ExtractionSpec.model_validate(fields | {"clip_frames": 4} | changes)


def make_features(length: int, *, seed: int = 0, dimension: int = 4) -> NDArray[np.float32]:
    """Return random features (length, dimension)."""
    return np.random.default_rng(seed).standard_normal((length, dimension), dtype=np.float32)


def add_video(
    store: FeatureStore, video_id: str, features: NDArray[Any], *, replace: bool = False, **changes: Any
) -> None:
    """Write features of a 30 fps video into a store, on the time grid that follows from the store's spec."""
    spec = store.spec
    grid = FeatureGrid.from_windows(
        fps=FPS, window_frames=spec.window_frames, stride_frames=spec.stride_frames, length=len(features)
    )
    frames = spec.stride_frames * len(features)
    fields = {"grid": grid, "duration_s": frames / FPS, "fps": FPS, "frames": frames} | changes
    store.write(SourceVideo(video_id, **fields), features, replace=replace)


def make_annotation_set(videos: dict[str, Any], classes: list[str], /, **changes: Any) -> AnnotationSet:
    """Return annotations with one vocabulary, "action".

    `videos` maps an id to (split, segments); segments are (start, end, label) rows, or None.
    """
    documents = {
        video_id: {
            "split": split,
            "duration": 100.0,
            "segments": None
            if rows is None
            else [{"start": start, "end": end, "labels": {"action": label}} for start, end, label in rows],
        }
        for video_id, (split, rows) in videos.items()
    }
    fields = {"dataset": "own", "source": {"converter": "csv", "asl_kit": "0"}, "vocabularies": {"action": classes}}
    return AnnotationSet.model_validate(fields | {"videos": documents} | changes)


def write_video(
    path: Path, *, frames: int = 40, fps: int = 10, size: tuple[int, int] = (64, 48), **options: str
) -> Path:
    """Write an H.264 file of a square and a disc that move over a changing background; no two frames are equal.

    `size` is (width, height); `options` go to the container, for example ``movflags="faststart"``.
    """
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    with av.open(str(path), "w", container_options=options) as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": "12", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            image = np.empty((height, width, 3), dtype=np.uint8)
            image[...] = np.stack([columns * 2 + index, rows * 3 - index, rows + columns], axis=-1) % 200
            left = index * 3 % (width - 12)
            image[6:18, left : left + 12] = (250, 30, 60)
            disc = (rows - height * 0.6) ** 2 + (columns - (width - 2 * index) % width) ** 2 < 64
            image[disc] = (20, 220, 240)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def make_images(video: Path, *, tar: bool) -> Path:
    """Put a folder of JPEG images, or a tar of them, in the place of a video."""
    folder = video.with_suffix("")
    folder.mkdir()
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0), 1):
            cv2.imwrite(str(folder / f"frame_{number:010d}.jpg"), frame.to_ndarray(format="bgr24"))
    video.unlink()
    if not tar:
        return folder
    with tarfile.open(folder.with_suffix(".tar"), "w") as archive:
        archive.add(folder, ".")
    shutil.rmtree(folder)
    return folder.with_suffix(".tar")


def write_uneven_video(path: Path, *, start_ms: int = 0) -> Path:
    """Write 23 H.264 frames, including B-frames, shown for 100, 250 or 437 ms each: 4.585 s in total."""
    stays_ms = [100, 100, 437, 100, 250] * 4 + [100, 437, 100]
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "2", "b-adapt": "0", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for index, stay_ms in enumerate(stays_ms):
            image = random.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = start_ms + sum(stays_ms[:index])
            frame.duration = stay_ms
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_task(
    folder: Path, *, videos: int = 8, classes: int = 2, dimension: int = 4, seed: int = 0
) -> tuple[Path, Path]:
    """Write annotations and a store for an easy task; return their paths.

    While an action of class c runs, value c of the features is raised by 3. The last quarter of
    the videos is the test split, the quarter before it the validation split.
    """
    random = np.random.default_rng(seed)
    names = [f"class {label}" for label in range(classes)]
    store = FeatureStore.open_or_create(folder / "features.zarr", make_spec(feature_dim=dimension), dtype="float32")
    rows: dict[str, Any] = {}
    for number in range(videos):
        length = int(random.integers(60, 100))
        features = random.standard_normal((length, dimension)).astype(np.float32)
        grid = FeatureGrid.from_windows(fps=FPS, window_frames=16, stride_frames=4, length=length)
        segments = []
        for first in range(8, length - 24, 24):
            label = int(random.integers(classes))
            start, stop = first + int(random.integers(4)), first + int(random.integers(8, 18))
            features[start:stop, label] += 3
            start_s, end_s = grid.to_seconds(start - 0.5), grid.to_seconds(stop - 0.5)
            segments.append((round(start_s, 4), round(end_s, 4), names[label]))
        place = number / videos
        split = "train" if place < 0.5 else "validation" if place < 0.75 else "test"
        rows[f"video {number}"] = (split, segments)
        add_video(store, f"video {number}", features)
    write_annotations(make_annotation_set(rows, names), folder / "annotations.json")
    return folder / "annotations.json", folder / "features.zarr"


def write_model(
    path: Path,
    *specs: ExtractionSpec,
    classes: Sequence[str] = ("jump", "run"),
    data: Mapping[str, Any] | None = None,
    **model: Any,
) -> Path:
    """Write a checkpoint of random weights for features of these specs; `model` adds to the recipe's model table."""
    import torch

    from asl_kit.checkpoint.files import save_checkpoint
    from asl_kit.checkpoint.model import Checkpoint
    from asl_kit.model.network import Localizer, Shape
    from asl_kit.recipes.schema import Recipe

    small = {"width": 16, "attention_heads": 2, "attention_window": 3, "stem_blocks": 1}
    tables = {"model": small | model, "run": {"precision": "float32"}, "data": dict(data or {})}
    recipe = Recipe.model_validate(tables)
    shape = Shape(feature_dims=tuple(spec.feature_dim for spec in specs), sequence_length=32, levels=3)
    torch.manual_seed(0)
    network = Localizer(recipe, shape, len(classes))
    for name, parameter in network.named_parameters():
        if "head.last.conv.weight" in name:  # so that scores differ
            torch.nn.init.normal_(parameter, std=0.5)
    save_checkpoint(Checkpoint(network.state_dict(), recipe, {"action": tuple(classes)}, shape, specs), path)
    return path


GOLDEN = Path(__file__).parents[1] / "golden"


@st.composite
def damage(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a damaged version of a file: with bytes replaced, removed, repeated or inserted."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.integers(0, 40)))
        piece = content[start:stop]
        new = draw(
            st.sampled_from([b"", piece * 2, b"-1", b"null", b"1e999", b"[]", b'""', b"\xff"]) | st.binary(max_size=4)
        )
        content = content[:start] + new + content[stop:]
    return content
