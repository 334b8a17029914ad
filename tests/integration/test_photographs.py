"""Real photographs through a network with real weights: what preparation, pipeline and store do to frames is right.

The expected probabilities are those of PIL, the publisher's network and nothing of asl-kit. A wrong order of colours,
mean, crop or interpolation changes them by 0.01 and more.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from helpers.command_line import run
from numpy.typing import NDArray
from PIL import Image
from torchvision.models import EfficientNet_B0_Weights

from asl_kit.store import FeatureStore

pytestmark = pytest.mark.slow

CATEGORIES = EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]
PHOTOGRAPHS = {  # in the package of scikit-image, and what they show, by ImageNet's names
    "chelsea.png": {"tabby", "tiger cat", "Egyptian cat"},
    "coffee.png": {"espresso"},
    "rocket.jpg": {"missile", "projectile"},
}
FRAMES = 3


def photograph(name: str) -> NDArray[np.uint8]:
    package = importlib.util.find_spec("skimage")  # not imported: only its photographs are wanted
    assert package is not None
    assert package.origin is not None
    with Image.open(Path(package.origin).parent / "data" / name) as image:
        return np.array(image.convert("RGB"))


def write_lossless(path: Path, image: NDArray[np.uint8]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "bgr0"
        for _ in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def pil_input(image: NDArray[np.uint8]) -> torch.Tensor:
    height, width = image.shape[:2]
    scale = 256 / min(width, height)
    size = int(width * scale), int(height * scale)
    # Channel by channel in floating point: of uint8 images, PIL also rounds between the two directions.
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in image.transpose(2, 0, 1)]
    resized = np.stack([channel.resize(size, Image.Resampling.BICUBIC) for channel in channels])
    left, top = (round((length - 224) / 2) for length in size)
    pixels = resized[:, top : top + 224, left : left + 224].round().clip(0, 255)
    return torch.from_numpy((pixels - 127) / 128)[None]


def test_photographs_are_recognized(offer_entry_point: Callable[..., None], tmp_path: Path) -> None:
    from efficientnet_lite_pytorch import EfficientNet
    from helpers import efficientnet_lite

    code = Path(efficientnet_lite.__file__).read_text(encoding="utf-8")
    offer_entry_point(code, group="asl_kit.backbones", target="SPEC", name="efficientnet_lite0")
    publisher = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=efficientnet_lite.WEIGHTS_FILE).eval()
    images = {name: photograph(name) for name in PHOTOGRAPHS}
    for name, image in images.items():
        video_id = Path(name).stem
        write_lossless(tmp_path / f"{video_id}.mkv", image)
        (tmp_path / "frames" / video_id).mkdir(parents=True)
        for number in range(FRAMES):
            Image.fromarray(image).save(tmp_path / "frames" / video_id / f"frame_{number:04d}.png")

    stores = []
    for source, how in ((tmp_path / "*.mkv", ()), (tmp_path / "frames", ("--image-fps", 10))):
        store = tmp_path / f"store {len(stores)}"
        words = ("--backbone", "efficientnet_lite0", "--dtype", "float32", "--precision", "float32", "--device", "cpu")
        result = run("extract", source, "-o", store, *words, *how, "--workers", 0)
        assert result.exit_code == 0, result.output
        stores.append(FeatureStore.open(store))

    for name, names in PHOTOGRAPHS.items():
        of_video, of_images = (store.read(Path(name).stem) for store in stores)
        assert of_video.shape == (FRAMES, 1280)
        np.testing.assert_array_equal(of_video, of_images)
        with torch.inference_mode():
            found = publisher._fc(torch.from_numpy(of_video)).softmax(1)
            expected = publisher(pil_input(images[name])).softmax(1)
        assert {CATEGORIES[index] for index in found.argmax(1)} <= names
        torch.testing.assert_close(found, expected.expand(FRAMES, -1), rtol=0, atol=1e-3)
