"""Features that are read again in every epoch, held in memory after the first time."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from asl_kit.base.memory import available_memory
from asl_kit.dataset.feature_reader import FeatureReader

SHARE = 0.25  # of the memory that is free on the device, at most, when training starts


class HeldFeatures:
    """Reads the features of videos, and holds as many as fit on the device that computes.

    Parameters
    ----------
    reader : FeatureReader
        Reader of the features.
    device : torch.device
        A GPU, or the CPU.
    limit_bytes : int, optional
        Bytes to hold; None: `SHARE` of the free memory, which the processes of one host share on a CPU.
    """

    def __init__(self, reader: FeatureReader, device: torch.device, *, limit_bytes: int | None = None) -> None:
        self.reader = reader
        self.device = device
        self.free_bytes = _limit_bytes(device) if limit_bytes is None else limit_bytes
        self._held: dict[str, Tensor] = {}

    def read(self, video_id: str) -> Tensor:
        """Return the features of a video as `FeatureReader.read` does: (T, D).

        Held features are on the device, in float16 if that is exact, as it is for features that are stored in
        float16. Those that do not fit are read from the store each time: float32, on the CPU.

        Raises
        ------
        FeatureError
            If a value is not finite.
        """
        held = self._held.get(video_id)
        if held is not None:
            return held
        features = torch.from_numpy(self.reader.read(video_id))
        if features.nbytes // 2 > self.free_bytes:
            return features
        half = features.half()
        smallest = half if torch.equal(half.float(), features) else features
        if smallest.nbytes > self.free_bytes:
            return features
        self.free_bytes -= smallest.nbytes
        self._held[video_id] = smallest.to(self.device)
        return self._held[video_id]


def _limit_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return int(SHARE * free)
    return int(SHARE * (available_memory() or 0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
