"""The checks of `asl-kit store verify`: no video is missing, and each is complete and matches its metadata."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from asl_kit.remote.folder import AnyFolder
from asl_kit.store.arrays import StoredArray
from asl_kit.store.ids import decode_id, encode_id
from asl_kit.store.ledger import Attempt
from asl_kit.store.video import VideoInfo


@dataclass(frozen=True, slots=True)
class Problem:
    """A defect of a store."""

    place: str
    """Path inside the store."""
    what: str
    """What was found and what was expected."""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"

    def to_json(self) -> dict[str, str]:
        """Return the fields, JSON-ready."""
        return {"place": self.place, "what": self.what}


def lost_videos(last_attempts: Mapping[str, Attempt], names: Collection[str]) -> list[Problem]:
    """Return a problem for each video that the ledger records as done and that is not in the store.

    Parameters
    ----------
    last_attempts : mapping of str to Attempt
        The last attempt at each video; see `Ledger.last_attempts`.
    names : collection of str
        Names of the entries of ``videos/``.
    """
    stored = set(names)
    return [
        Problem(f"videos/{name}", f"missing: the ledger records video {video_id!r} as done at {attempt.time}")
        for video_id, attempt in sorted(last_attempts.items())
        if attempt.outcome == "done" and (name := encode_id(video_id)) not in stored
    ]


def check_video(folder: AnyFolder, *, feature_dim: int, dtype: str, deep: bool) -> list[str]:
    """Return the defects of one entry of ``videos/``.

    Parameters
    ----------
    folder : Path or RemoteFolder
        Folder of the video's array.
    feature_dim : int
        Values per feature according to the store's spec.
    dtype : str
        The store's dtype.
    deep : bool
        Whether to read all values and compare their checksum.
    """
    video_id = decode_id(folder.name)
    if video_id is None:
        return ["the name is not an encoded video id"]
    try:
        array = StoredArray.open(folder)
        info = VideoInfo.of(array)
    except (OSError, ValueError) as fault:
        return [f"metadata cannot be read: {describe_fault(fault)}"]
    problems = []
    if info.video_id != video_id:
        problems.append(f"holds video {info.video_id!r}, expected {video_id!r}")
    if info.shape[1] != feature_dim:
        problems.append(f"features have {info.shape[1]} values, the store's spec says {feature_dim}")
    if info.shape[0] != info.grid.length:
        problems.append(f"{info.shape[0]} features, but the grid has {info.grid.length}")
    if info.dtype != dtype:
        problems.append(f"dtype is {info.dtype}, the store's is {dtype}")
    if deep:
        try:
            found = array.crc32c()
            if found != info.crc32c:
                problems.append(f"damaged: CRC-32C of the data is {found}, recorded is {info.crc32c}")
        except (OSError, ValueError) as fault:
            problems.append(f"data cannot be read: {describe_fault(fault)}")
    return problems


def describe_fault(fault: OSError | ValueError) -> str:
    """Return a short description of a fault; for a file error, the file's name and the reason."""
    if isinstance(fault, OSError) and fault.strerror:
        name = Path(fault.filename).name if fault.filename else ""
        return f"{name}: {fault.strerror}".removeprefix(": ")
    return str(fault)
