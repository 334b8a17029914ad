"""The feature store: a Zarr v3 group with one array per video.

::

    STORE/zarr.json             group; attributes: format, version, spec, dtype
    STORE/videos/zarr.json      a copy; the first process to create it decides the spec
    STORE/videos/<id>/          one array: zarr.json, c.0.0, c.1.0, ...
    STORE/ledger/<worker>.jsonl every attempt and its outcome
    STORE/tmp/                  writes in progress

A `FeatureStore` holds no open file and can be pickled or used after a fork.
The time to open a store or to find and read a video does not depend on the number of videos.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from asl_kit.base.console import progress_bar
from asl_kit.base.files import read_json
from asl_kit.base.validation import check_version, validate
from asl_kit.errors import FeatureError, MissingFileError, SpecConflictError, StoreError, UsageError
from asl_kit.grid import FeatureGrid
from asl_kit.remote.address import Place, local_path
from asl_kit.remote.faults import RemoteFault
from asl_kit.remote.folder import AnyFolder, RemoteFolder, open_folder
from asl_kit.store.arrays import DTYPES, MAX_CHUNK_ROWS, StoredArray, checksum_of, little_endian, write_array
from asl_kit.store.identity import FileIdentity, SourceCheck, check_source
from asl_kit.store.ids import decode_id, encode_id
from asl_kit.store.ledger import Ledger
from asl_kit.store.spec import ExtractionSpec
from asl_kit.store.staging import clear_stale, publish, replace_folder, restore, staging_folder, sync
from asl_kit.store.verify import Problem, check_video, describe_fault, lost_videos
from asl_kit.store.video import SourceVideo, VideoInfo

FORMAT = "asl-kit/feature-store"
VERSION = 1

_DAMAGED_VIDEO_HINT = "`asl-kit store verify` lists all damage; delete that folder and extract the video again"


class FeatureStore:
    """A folder of features that were all made in the same way; use `open` or `open_or_create`.

    Parameters
    ----------
    path : Path or RemoteFolder
        Folder of the store; at an address it can only be read.
    spec : ExtractionSpec
        How its features were made.
    dtype : {"float16", "float32"}
        Type of the stored values.
    """

    def __init__(self, path: AnyFolder, spec: ExtractionSpec, dtype: str) -> None:
        self.path = path
        self.spec = spec
        self.dtype = dtype
        self.ledger = Ledger(path / "ledger")
        self._arrays: dict[str, StoredArray] = {}  # at an address, where each would be asked for several times

    @classmethod
    def open(cls, path: Place | RemoteFolder) -> FeatureStore:
        """Open an existing store, in a folder or at an address (``s3://bucket/features.zarr``).

        Raises
        ------
        MissingFileError
            If `path` does not exist.
        StoreError
            If it is not a store, is damaged, or has another format version.
        """
        path = open_folder(path)
        document = path / "zarr.json"
        not_a_store = f"{path}: not a feature store"
        try:
            fields = read_json(document, StoreError)
        except MissingFileError:
            if isinstance(path, RemoteFolder) or not path.exists():
                raise MissingFileError(f"{path}: no such feature store", hint="`asl-kit extract` makes one") from None
            reason = "it has no zarr.json" if path.is_dir() else "it is a file"
            raise StoreError(
                f"{path}: not a feature store: {reason}", hint="name the folder that `asl-kit extract` wrote to"
            ) from None
        except StoreError as fault:
            raise StoreError(
                fault.message, hint=f"{path / 'videos' / 'zarr.json'} is a copy of it: restore it from there"
            ) from None
        except OSError as fault:
            hint = fault.hint if isinstance(fault, RemoteFault) else None
            raise StoreError(f"{document}: cannot be read: {describe_fault(fault)}", hint=hint) from fault
        attributes = fields.get("attributes") if isinstance(fields, dict) else None
        if not isinstance(attributes, dict) or attributes.get("format") != FORMAT:
            raise StoreError(
                f"{not_a_store}: its zarr.json has no attribute format = {FORMAT!r}",
                hint="`asl-kit import-features` makes a store of other features",
            )
        check_version(
            attributes.get("version"),
            VERSION,
            source=str(path),
            what="store",
            error=StoreError,
            hint="use the asl-kit that made it, or extract again into a new store",
        )
        dtype = attributes.get("dtype")
        if dtype not in DTYPES:
            raise StoreError(f"{document}: dtype is {dtype!r}, expected {' or '.join(DTYPES)}")
        spec = validate(
            ExtractionSpec,
            attributes.get("spec"),
            source=f"{document}: spec",
            error=StoreError,
            hint="the store's metadata is damaged, or was written by a newer asl-kit",
        )
        if isinstance(path, Path):
            restore(path / "tmp", path / "videos")
        return cls(path, spec, dtype)

    @classmethod
    def open_or_create(cls, path: Place, spec: ExtractionSpec, dtype: str = "float16") -> FeatureStore:
        """Open a store for writing, or create it. Any number of processes may do so at the same time.

        Parameters
        ----------
        path : Path or str
            Folder of the store; absent, empty, or a store.
        spec : ExtractionSpec
            How the features are made.
        dtype : {"float16", "float32"}
            Type of the stored values.

        Raises
        ------
        SpecConflictError
            If the store has another spec or dtype; the message names each field with both values.
        StoreError
            If the folder holds something else, or cannot be written.
        """
        path = local_path(path, what="a feature store")
        if dtype not in DTYPES:
            raise UsageError(f"dtype is {dtype!r}, expected {' or '.join(DTYPES)}")
        try:
            if not (path / "zarr.json").exists():
                _create(path, spec, dtype)
        except OSError as fault:
            _raise_write_error(fault, f"{path}: cannot write the feature store")
        store = cls.open(path)
        differences = store.spec.differences(spec)
        if store.dtype != dtype:
            differences.append(f"dtype: {store.dtype!r} against {dtype!r}")
        if differences:
            lines = "\n  ".join(differences)
            raise SpecConflictError(
                f"{path}: its features were made in another way (the store's against yours):\n  {lines}",
                hint="write to another store, or extract as this one was: `asl-kit store info` shows how",
            )
        try:
            clear_stale(path / "tmp")
        except OSError as fault:
            _raise_write_error(fault, f"{path}: cannot write the feature store")
        return store

    def video_ids(self) -> list[str]:
        """Return the ids of all videos, sorted; lists one folder."""
        return sorted(video_id for name in self._names() if (video_id := decode_id(name)) is not None)

    def __contains__(self, video_id: object) -> bool:
        try:
            if not isinstance(video_id, str):
                return False
            document = self.folder(video_id) / "zarr.json"
        except StoreError:
            return False  # not a possible id
        return document.is_file() if isinstance(document, Path) else self._is_at_address(video_id)

    def _is_at_address(self, video_id: str) -> bool:
        try:
            self._open(video_id)
        except FileNotFoundError:
            return False
        except OSError as fault:  # it is not known whether it is there
            raise StoreError(f"{self.path}: video {video_id!r}: {describe_fault(fault)}") from fault
        except ValueError:
            pass  # damaged: reading it will say how
        return True

    def info(self, video_id: str) -> VideoInfo:
        """Return the metadata of a video: grid, duration, frame rate, shape.

        Raises
        ------
        StoreError
            If the video is not in the store, or is damaged.
        """
        array = self._open_array(video_id)
        try:
            return VideoInfo.of(array)
        except ValueError as fault:
            raise StoreError(f"{array.folder}: video {video_id!r}: {fault}", hint=_DAMAGED_VIDEO_HINT) from fault

    def read(self, video_id: str) -> NDArray[Any]:
        """Return a video's features: (T, D) in the store's dtype.

        Checks sizes but not the checksum; `verify` does that.

        Raises
        ------
        StoreError
            If the video is not in the store, or is damaged.
        """
        array = self._open_array(video_id)
        try:
            return array.read()
        except (OSError, ValueError) as fault:
            raise StoreError(
                f"{array.folder}: video {video_id!r} cannot be read: {describe_fault(fault)}", hint=_DAMAGED_VIDEO_HINT
            ) from fault

    def write(
        self,
        video: SourceVideo,
        features: NDArray[Any],
        *,
        seconds: float = 0.0,
        note: str = "",
        replace: bool = False,
    ) -> bool:
        """Add a video atomically, then record it in the ledger as done.

        A video that the store already holds is not changed, and is recorded as skipped, unless it is to be replaced.

        Parameters
        ----------
        video : SourceVideo
            Id, grid and source of the features.
        features : (T, D) array
            Floating point. A memory map is read block by block.
        seconds : float
            Duration of the attempt so far, for the ledger.
        note : str
            Note on how the features were made, for the ledger.
        replace : bool
            Whether to replace a video that the store already holds. A kill leaves the old or the new features.

        Returns
        -------
        bool
            Whether these features were stored; False if the store held the video, for example from another process.

        Raises
        ------
        FeatureError
            If the features are not finite, exceed the store's dtype, or do not fit the grid or the spec.
        StoreError
            If the id cannot be stored or the disk refuses; the store is then unchanged.
        """
        video_id = video.video_id
        target = local_path(str(self.path), what="features") / "videos" / encode_id(video_id)
        place = f"{self.path}: video {video_id!r}"
        self._check_shape(place, features, video.grid)
        checksum = checksum_of(_checked_blocks(place, features, self.dtype))
        try:
            info = VideoInfo.from_attributes(
                video.attributes() | {"crc32c": checksum},
                dtype=self.dtype,
                shape=(len(features), self.spec.feature_dim),
            )
        except ValueError as fault:
            raise FeatureError(f"{place}: {fault}") from fault
        published = False
        if replace or video_id not in self:
            try:
                published = self._publish(target, features, info, is_replaced=replace and video_id in self)
            except OSError as fault:
                _raise_write_error(fault, f"{place} cannot be written")
        if published:
            self.ledger.record(video_id, "done", note, seconds=seconds)
        else:
            self.ledger.record(video_id, "skipped", "already in the store", seconds=seconds)
        return published

    def check_source(self, video_id: str, read: Callable[[FileIdentity], FileIdentity]) -> SourceCheck:
        """Compare the file that a video of the store was made from with the one whose identity `read` returns.

        `read` gets the recorded identity.
        """
        try:
            recorded = self.info(video_id).source
        except StoreError:
            return SourceCheck("unknown", "they are damaged: `asl-kit store verify` shows how")
        return check_source(recorded, read)

    def verify(self, deep: bool = True, show_progress: bool = False) -> list[Problem]:
        """Check every video against its metadata and the store's spec, and that no video of the ledger is lost.

        Parameters
        ----------
        deep : bool
            Whether to read all features and compare their checksums.
        show_progress : bool
            Whether to show a progress bar on stderr.

        Returns
        -------
        list of Problem
            Empty if there are none.
        """
        problems = []
        last_attempts = self.ledger.last_attempts()  # before the names: a video is recorded after it is written
        if _bytes_or_none(self.path / "videos" / "zarr.json") != _bytes_or_none(self.path / "zarr.json"):
            problems.append(Problem("videos/zarr.json", "differs from the store's zarr.json, expected a copy"))
        names = sorted(name for name in self._names() if name != "zarr.json")
        problems.extend(lost_videos(last_attempts, names))
        with progress_bar("verify", len(names)) if show_progress else nullcontext() as bar:
            for name in names:
                found = check_video(
                    self.path / "videos" / name, feature_dim=self.spec.feature_dim, dtype=self.dtype, deep=deep
                )
                problems.extend(Problem(f"videos/{name}", what) for what in found)
                if bar is not None:
                    bar.advance()
        return problems

    def folder(self, video_id: str) -> AnyFolder:
        """Return the folder of a video's array, which need not exist."""
        return self.path / "videos" / encode_id(video_id)

    def _names(self) -> list[str]:
        try:
            return [path.name for path in (self.path / "videos").iterdir()]
        except OSError as fault:
            what = "cannot be listed" if isinstance(fault, RemoteFault) else "damaged store"
            raise StoreError(f"{self.path}: {what}: {describe_fault(fault)}") from fault

    def _open_array(self, video_id: str) -> StoredArray:
        folder = self.folder(video_id)
        try:
            return self._open(video_id)
        except FileNotFoundError:
            raise StoreError(
                f"{self.path}: no video {video_id!r} in this store", hint="`asl-kit store list` prints the ids it has"
            ) from None
        except (OSError, ValueError) as fault:
            raise StoreError(
                f"{folder}: video {video_id!r} is damaged: {describe_fault(fault)}", hint=_DAMAGED_VIDEO_HINT
            ) from fault

    def _open(self, video_id: str) -> StoredArray:
        if isinstance(self.path, Path):
            return StoredArray.open(self.folder(video_id))
        if video_id not in self._arrays:
            self._arrays[video_id] = StoredArray.open(self.folder(video_id))
        return self._arrays[video_id]

    def _check_shape(self, place: str, features: NDArray[Any], grid: FeatureGrid) -> None:
        if features.ndim != 2 or not np.issubdtype(features.dtype, np.floating):
            raise FeatureError(
                f"{place}: features are {features.dtype} of shape {features.shape}, expected floats of shape (T, D)"
            )
        if features.shape[1] != self.spec.feature_dim:
            raise FeatureError(
                f"{place}: features have {features.shape[1]} values, the store's spec says {self.spec.feature_dim}"
            )
        if features.shape[0] != grid.length:
            raise FeatureError(f"{place}: {features.shape[0]} features, but the grid has {grid.length}")

    def _publish(self, target: Path, features: NDArray[Any], info: VideoInfo, *, is_replaced: bool) -> bool:
        """Publish the video; return False if another process has already done so."""
        try:
            return self._publish_once(target, features, info, is_replaced=is_replaced)
        except OSError as fault:
            # The staging folder was removed, or the old video restored, by another process: see staging.
            if not (isinstance(fault, FileNotFoundError) or (is_replaced and fault.errno == errno.ENOTEMPTY)):
                raise
            return self._publish_once(target, features, info, is_replaced=is_replaced)

    def _publish_once(self, target: Path, features: NDArray[Any], info: VideoInfo, *, is_replaced: bool) -> bool:
        with staging_folder(target.parents[1] / "tmp") as folder:
            write_array(folder, features, self.dtype, info.attributes())
            written = StoredArray.open(folder)
            checksum = written.crc32c()
            if VideoInfo.of(written) != info or checksum != info.crc32c:
                raise StoreError(
                    f"{self.path}: video {info.video_id!r} does not read back as it was written"
                    f" (CRC-32C {checksum}, expected {info.crc32c})",
                    hint="check the disk; nothing was stored",
                )
            if is_replaced:
                replace_folder(folder, target)
                return True
            return publish(folder, target)


def _create(path: Path, spec: ExtractionSpec, dtype: str) -> None:
    """Create an empty store, unless another process is faster.

    The process that renames ``videos/`` into place decides spec and dtype. Every
    process then copies ``videos/zarr.json`` to the store's own ``zarr.json``, which completes the store.
    """
    import zarr

    videos = path / "videos"
    if path.exists() and not path.is_dir():
        raise StoreError(f"{path}: not a feature store: it is a file")
    names = {entry.name for entry in path.iterdir()} if path.exists() else set()
    foreign = names - {"videos", "tmp", "ledger", "zarr.json"}
    if foreign or (videos.exists() and not (videos / "zarr.json").is_file()):
        raise StoreError(
            f"{path}: not a feature store, and not empty (it holds {min(foreign, default='videos')!r})",
            hint="name a new or empty folder for the store",
        )
    attributes = {"format": FORMAT, "version": VERSION, "spec": spec.model_dump(mode="json"), "dtype": dtype}
    with staging_folder(path / "tmp") as staging:
        zarr.create_group(staging / "videos", attributes=attributes, zarr_format=3)
        publish(staging / "videos", videos)
        shutil.copyfile(videos / "zarr.json", staging / "zarr.json")
        sync(staging / "zarr.json")
        (staging / "zarr.json").replace(path / "zarr.json")


def _checked_blocks(place: str, features: NDArray[Any], dtype: str) -> Iterator[NDArray[Any]]:
    """Yield the rows in blocks as they will be stored; refuse values that the dtype cannot hold."""
    limit = min(float(np.finfo(dtype).max), float(np.finfo(features.dtype).max))
    for start in range(0, len(features), MAX_CHUNK_ROWS):
        block = features[start : start + MAX_CHUNK_ROWS]
        fits = np.abs(block) <= limit  # False for NaN
        if not fits.all():
            row, column = np.argwhere(~fits)[0]
            value = block[row, column]
            where = f"feature {start + row} is {value} in dimension {column}"
            if np.isfinite(value):
                raise FeatureError(
                    f"{place}: {where}, the store's {dtype} ends at {limit:g}", hint="use --dtype float32"
                )
            raise FeatureError(
                f"{place}: {where}, expected a finite number",
                hint="half-precision arithmetic in the backbone overflows easily; damaged weights do the same",
            )
        yield block.astype(little_endian(dtype), copy=False)


def _raise_write_error(fault: OSError, what: str) -> NoReturn:
    hints = {
        errno.ENOSPC: "free some space and run the same command again; stored features remain valid",
        errno.EDQUOT: "quota exceeded: free some space and run the same command again; stored features remain valid",
        errno.ENOTEMPTY: "a damaged video is in its place: `asl-kit store verify` names its folder; delete that",
    }
    raise StoreError(f"{what}: {fault.strerror or fault}", hint=hints.get(fault.errno or 0)) from fault


def _bytes_or_none(path: AnyFolder) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
