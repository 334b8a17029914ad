"""Which videos an extraction works on, and under which ids: files, and folders and tars of numbered images.

Videos at addresses are found too; they are fetched later, one by one.
"""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from asl_extract.decoders import VideoSource
from asl_extract.decoders.image_files import ImageSequence, holds_images, is_image_sequence
from asl_kit.annotations.video_names import VIDEO_SUFFIXES
from asl_kit.base.image_names import FLOW_FOLDERS, image_kind, split_number, tar_stem
from asl_kit.errors import AslKitError, MissingFileError, StoreError, UsageError, VideoError
from asl_kit.remote.access import check_packages, list_names
from asl_kit.remote.address import BUCKETS, Address, Place, is_address, path_or_address
from asl_kit.remote.faults import RemoteFault
from asl_kit.store import encode_id

MAX_FPS = 1000
"""Frame rates are below it."""


@dataclass(frozen=True)
class VideoFile:
    """A video and its id: the file's name without its suffix, unless other files share it.

    Parameters
    ----------
    video_id : str
        The id. That of a folder of images is the folder's name.
    path : Path
        The video file, or the folder or tar of images.
    image_fps : float, optional
        Frame rate of images; see `with_image_fps`.
    """

    video_id: str
    path: Path
    image_fps: float | None = None

    @property
    def source(self) -> VideoSource:
        """What a decoder opens."""
        return self.path if self.image_fps is None else ImageSequence(self.path, self.image_fps)

    @property
    def id_fault(self) -> VideoError | None:
        """Why the id cannot be stored: too long for a file name, or not Unicode text. None: it can."""
        return _id_fault(self)


@dataclass(frozen=True)
class RemoteVideo:
    """A video at an address, and its id: as of a `VideoFile`, from the last part of the address.

    Parameters
    ----------
    video_id : str
        The id.
    path : Address
        The video file, or the tar of images.
    image_fps : float, optional
        Frame rate of images; see `with_image_fps`.
    """

    video_id: str
    path: Address
    image_fps: float | None = None

    @property
    def id_fault(self) -> VideoError | None:
        """As of a `VideoFile`."""
        return _id_fault(self)

    def source_at(self, copy: Path) -> VideoSource:
        """Return what a decoder opens, for a local copy."""
        return copy if self.image_fps is None else ImageSequence(copy, self.image_fps)


Video = VideoFile | RemoteVideo
AnyVideo = TypeVar("AnyVideo", VideoFile, RemoteVideo, Video)


def _id_fault(video: Video) -> VideoError | None:
    try:
        encode_id(video.video_id)
    except StoreError as fault:
        return VideoError(f"{video.path}: {fault.message}", hint=fault.hint)
    return None


def select_videos(
    sources: Sequence[Place],
    *,
    listed: Collection[str] | None = None,
    list_name: str = "",
    shard: str | None = None,
    image_fps: float | None = None,
    frame_rates: Mapping[str, float | None] | None = None,
) -> tuple[list[Video], list[str]]:
    """Return the videos that a run works on, sorted by id, and the sorted ids that are listed but have no file.

    Of what `find_sources` returns these are the videos whose ids are in `listed`, which `list_name` names for
    messages; and of those every N-th from the I-th on, if `shard` is ``I/N``. Images get their frame rates from
    `image_fps` and `frame_rates`, as by `with_image_fps`.

    Raises
    ------
    MissingFileError, UsageError
        As `find_sources`, `with_image_fps` and `parse_shard`, or if no video is listed.
    """
    files = find_sources(sources)
    missing: list[str] = []
    if listed is not None:
        missing = sorted(set(listed) - {file.video_id for file in files})
        files = [file for file in files if file.video_id in listed]
        if not files:
            raise UsageError(
                f"none of the videos is in {list_name}",
                hint="a video's file name without the suffix must be its id in the annotations",
            )
    files = with_image_fps(files, image_fps, frame_rates or {})
    index, count = (1, 1) if shard is None else parse_shard(shard)
    return files[index - 1 :: count], missing


def find_videos(sources: Sequence[Place], *, same_names: bool = False) -> list[VideoFile]:
    """Return the videos that files, folders and patterns name, sorted by id.

    Those at addresses are refused: see `find_sources`.

    A file is taken whatever its suffix. A folder is searched for files with a video's suffix, with its subfolders
    and the folders that links lead to, except hidden ones. Broken links, pipes and files without read permission are
    found too: reading them fails with the reason.

    A folder of numbered images is a video, and so is a tar of numbered images. A folder is one video of optical flow
    if its folders u and v both hold numbered images. In a folder that also holds videos or
    folders of videos, images are ignored.

    Parameters
    ----------
    sources : sequence of str or Path
        A path that does not exist is a pattern: ``*``, ``?`` and ``[...]`` stand for characters of a name,
        and ``**`` for any number of folders.
    same_names : bool
        Whether files may share a name: their folders, as in ``monday/clip`` and ``friday/clip``, or their suffixes
        then distinguish their ids.

    Raises
    ------
    MissingFileError
        If a file or folder does not exist, or nothing matches a pattern.
    UsageError
        If there is no video, two have the same name and must not, or a folder cannot be searched.

    Examples
    --------
    >>> find_videos(["no/such/*.mp4"])
    Traceback (most recent call last):
    asl_kit.errors.MissingFileError: no/such/*.mp4: no file or folder fits this pattern
    """
    for source in sources:
        if is_address(source):
            raise UsageError(
                f"{path_or_address(source)}: an address, expected a file or folder",
                hint="`asl-kit extract` and `asl-kit predict` fetch videos; for anything else, download them first",
            )
    return [video for video in find_sources(sources, same_names=same_names) if isinstance(video, VideoFile)]


def find_sources(sources: Sequence[Place], *, same_names: bool = False) -> list[Video]:
    """Return the videos that files, folders, patterns and addresses name, sorted by id.

    Paths are searched as by `find_videos`. The address of a folder in a bucket (``s3://bucket/videos/``) is searched
    for files with a video's suffix, also in folders below it; any other address is a file, whatever its suffix.

    Parameters
    ----------
    sources : sequence of str, Path or Address
        Paths, patterns and addresses.
    same_names : bool
        As for `find_videos`.

    Raises
    ------
    MissingFileError, UsageError
        As `find_videos`, or if an address is wrong.
    MissingDependencyError
        If a package is needed for an address.
    AslKitError
        If a bucket cannot be listed.
    """
    named: dict[str, dict[str, Path | Address]] = {}
    places = [path_or_address(source) for source in sources]
    check_packages([place for place in places if isinstance(place, Address)])
    for place in places:
        for path in _addresses_of(place) if isinstance(place, Address) else _files_of(place):
            # The whole address: different queries may be different videos.
            key = path.url if isinstance(path, Address) else os.path.realpath(path)
            named.setdefault(_without_suffix(_as_path(path)).name, {}).setdefault(key, path)
    if not named:
        raise UsageError(
            f"no videos found in {', '.join(map(str, places))}",
            hint=f"suffixes that are looked for: {' '.join(VIDEO_SUFFIXES)}; and folders and tars of numbered images",
        )
    found: dict[str, Path | Address] = {}
    for name, files in named.items():
        first, *others = files.values()
        if not others:
            found[name] = first
        elif not same_names:
            raise UsageError(
                f"two videos with the id {name!r}: {first} and {others[0]}",
                hint="a video's id is its file name without the suffix, or its folder's name; rename one of them",
            )
    for files in named.values():
        if len(files) > 1:
            found |= _tell_apart(list(files.values()), found.keys() | named.keys())
    return [_video(video_id, found[video_id]) for video_id in sorted(found)]


def _video(video_id: str, path: Path | Address) -> Video:
    return RemoteVideo(video_id, path) if isinstance(path, Address) else VideoFile(video_id, path)


def _as_path(path: Path | Address) -> Path:
    """Return a path of the same names as an address, which is not opened."""
    return Path("/", *str(path).partition("://")[2].split("/")[:-1], path.name) if isinstance(path, Address) else path


def _addresses_of(address: Address) -> list[Address]:
    if not address.is_folder:
        return [address]
    try:
        names = list_names(address, deep=True)
    except RemoteFault as fault:
        kind = MissingFileError if fault.is_missing else AslKitError if address.scheme in BUCKETS else UsageError
        raise kind(f"{address}: {fault.reason}", hint=fault.hint) from fault
    return [address / name for name in names if _is_video_file(name.rpartition("/")[2]) and "/." not in f"/{name}"]


def _tell_apart(paths: Sequence[Path | Address], taken: Collection[str]) -> dict[str, Path | Address]:
    """Return files of one name by ids of their own: as few folders before it as it takes, else the suffix behind it."""
    # Without ``..``, and links by their own names.
    places = [Path(os.path.abspath(_as_path(path))) for path in paths]  # noqa: PTH100
    for as_named in ([_without_suffix(place) for place in places], places):
        for count in range(1, max(len(place.parts) for place in places)):
            ids = ["/".join(place.parts[1:][-count:]) for place in as_named]
            if len(set(ids)) == len(ids) and not set(ids) & set(taken):
                return dict(zip(ids, paths, strict=True))
    raise UsageError(f"videos cannot be told apart by their names: {', '.join(map(str, paths))}", hint="rename one")


def _without_suffix(path: Path) -> Path:
    """Return the path of a video without its suffix: the last part is its id."""
    if (stem := tar_stem(path.name)) is not None:
        return path.with_name(stem) if stem else path
    # A folder's name may be hidden in ``..``.
    return Path(os.path.abspath(path)) if path.is_dir() else path.with_suffix("")  # noqa: PTH100


def video_at(path: Place, image_fps: float | None) -> VideoFile:
    """Return the video at a path: a file, or a folder or tar of images.

    Raises
    ------
    UsageError
        If its frames are images, and there is no frame rate; or if it is an address.
    """
    if is_address(path):
        raise UsageError(
            f"{path_or_address(path)}: an address, expected a file",
            hint="`asl_kit.extract_videos` and `asl_kit.predict_videos` fetch videos",
        )
    path = Path(path)  # type: ignore[arg-type]
    [file] = with_image_fps([VideoFile(_without_suffix(path).name, path)], image_fps, {})
    return file


def with_image_fps(
    files: Iterable[AnyVideo], image_fps: float | None, frame_rates: Mapping[str, float | None]
) -> list[AnyVideo]:
    """Return videos, those of images with a frame rate: `image_fps`, else the one by id in `frame_rates`.

    Raises
    ------
    UsageError
        If the frame rate of a video of images is not known, or `image_fps` is out of range.
    """
    if image_fps is not None and not 0 < image_fps < MAX_FPS:
        raise UsageError(f"image fps must be above 0 and below {MAX_FPS}, got {image_fps:g}")
    found = []
    for file in files:
        fps = None
        path = file.path
        if tar_stem(path.name) is not None if isinstance(path, Address) else is_image_sequence(path):
            fps = image_fps or frame_rates.get(file.video_id)
            if fps is None:
                raise UsageError(
                    f"{file.path}: the frame rate of video {file.video_id!r} is not known: its frames are images",
                    hint="use --image-fps, or annotations that state the fps of each video, or name only video files",
                )
        found.append(replace(file, image_fps=fps))
    return found


def _files_of(source: Path) -> Iterable[Path]:
    if source.is_dir():
        return sorted(_search(source))
    if image_kind(source.name) is not None and source.exists():
        raise UsageError(f"{source}: an image, not a video", hint=f"name its folder: {source.parent}")
    if not source.exists():
        if not source.is_symlink() and glob.has_magic(str(source)):
            fitting = sorted(glob.glob(str(source), recursive=True))  # noqa: PTH207 (that wants a folder to begin from)
            if not fitting:
                raise MissingFileError(f"{source}: no file or folder fits this pattern")
            return itertools.chain.from_iterable(_files_of(Path(path)) for path in fitting)
        target = f": the link points to {source.readlink()}, which leads nowhere" if source.is_symlink() else ""
        raise MissingFileError(f"{source}: no such file or folder{target}")
    return [source]


def _search(folder: Path) -> list[Path]:
    """Return the videos of a folder and of the folders in it, readable or not.

    Links to folders are followed, each folder is searched once: a link back up ends there.
    """

    def refuse(fault: OSError) -> None:
        raise UsageError(f"{fault.filename}: this folder cannot be searched: {fault.strerror}") from fault

    searched: set[str] = set()
    files: list[Path] = []
    tars: list[Path] = []
    with_images: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in searched:
            folders.clear()
            continue
        searched.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        # Folders before links to folders, so that a video is found at its own place.
        folders.sort(key=lambda name: (Path(place, name).is_symlink(), name))
        here = [Path(place, name) for name in names if _is_video_file(name)]
        files += here
        tars += [Path(place, name) for name in names if tar_stem(name) and not name.startswith(".")]
        if not here and any(image_kind(name) and split_number(name) for name in names):
            with_images.append(Path(place))
    tars = [tar for tar in tars if holds_images(tar)]
    return [*files, *tars, *_image_folders(_with_flow_joined(with_images), files, tars)]


def _with_flow_joined(folders: Sequence[Path]) -> list[Path]:
    """Return folders with images; in place of folders u and v, which hold optical flow, the one that they lie in."""
    parents = [{folder.parent for folder in folders if folder.name == name} for name in FLOW_FOLDERS]
    videos = set.intersection(*parents) - set(folders)
    return [*videos, *(folder for folder in folders if folder.name not in FLOW_FOLDERS or folder.parent not in videos)]


def _is_video_file(name: str) -> bool:
    return name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith(".")


def _image_folders(with_images: Sequence[Path], files: Sequence[Path], tars: Sequence[Path]) -> list[Path]:
    """Return those folders with numbered images that are videos: no other video is in them."""
    around_files = {parent for path in files for parent in path.parents}
    around_images = {parent: path for path in [*with_images, *tars] for parent in path.parents}
    found = []
    for folder in with_images:
        if folder in around_images:
            raise UsageError(
                f"{folder}: holds images and, in {around_images[folder]}, the images of another video",
                hint="a video is a folder of images alone: move one of them elsewhere",
            )
        if folder not in around_files:
            found.append(folder)
    return found


def parse_shard(text: str) -> tuple[int, int]:
    """Return (I, N) of ``I/N``: the I-th of N parts, counted from 1.

    Raises
    ------
    UsageError
        If the text is not of that form, or I is not within 1 to N.
    """
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise UsageError(f"shard {text!r} is not I/N with I from 1 to N", hint="--shard 1/4 is the first of four parts")
    return int(index), int(count)
