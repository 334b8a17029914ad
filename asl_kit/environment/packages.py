"""The packages that asl-kit uses: their modules and purposes."""

from __future__ import annotations

REQUIRED = {
    "av": "av",
    "click": "click",
    "google-crc32c": "google_crc32c",
    "msgspec": "msgspec",
    "numpy": "numpy",
    "plotly": "plotly",
    "pydantic": "pydantic",
    "pytorchvideo": "pytorchvideo.models",
    "pyyaml": "yaml",
    "rich": "rich",
    "simplejpeg": "simplejpeg",
    "tensorboard": "tensorboard.summary.writer.record_writer",
    "torch": "torch",
    "torchvision": "torchvision",
    "zarr": "zarr",
}
"""Module by package. decord, which has wheels for only one platform, is checked as a decoder."""

OPTIONAL = {
    "gcsfs": ("remote", "videos and stores at gs://"),
    "h5py": ("h5py", "features and annotations in HDF5 files"),
    "mlflow-skinny": ("mlflow", "training curves at an MLflow server"),
    "opencv-contrib-python-headless": ("opencv", "TV-L1 optical flow"),
    "ray": ("ray", "extract and study --ray"),
    "s3fs": ("remote", "videos and stores at s3://"),
    "safetensors": ("hf", "weights in safetensors"),
    "timm": ("timm", "backbones timm:MODEL"),
    "transformers": ("hf", "backbones hf:MODEL"),
    "wandb": ("wandb", "training curves at Weights & Biases"),
}
"""Extra of asl-kit and purpose, by package. torchcodec is checked as a decoder."""

TORCH_FAILS = "PyTorch does not load"
"""Reason why something was not checked."""
