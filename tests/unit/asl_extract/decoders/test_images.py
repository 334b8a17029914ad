"""Frames that are images: read in order, the same in a folder and in a tar, and every fault named."""

from __future__ import annotations

import io
import random
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_extract.decoders import Frames, open_reader, pyav_reader
from asl_extract.decoders.image_files import ImageSequence, holds_images, open_images, order_images
from asl_extract.decoders.image_reader import ImageReader
from asl_kit.errors import AslKitError, MissingFileError, VideoError


def picture(number: int, *, width: int = 24, height: int = 16) -> Frames:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(frame: Frames, suffix: str) -> bytes:
    return cv2.imencode(suffix, frame[..., ::-1])[1].tobytes()


def write_images(folder: Path, names: list[str]) -> Path:
    """Write images of which each shows its place in the list."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).write_bytes(encoded(picture(number), Path(name).suffix))
    return folder


def make_tar(folder: Path, path: Path, *, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        archive.add(folder, ".")
    return path


def read(path: Path, *, flow: bool = False) -> Frames:
    reader = ImageReader(ImageSequence(path, 25.0), flow=flow)
    try:
        assert (reader.fps, reader.display_s) == (25.0, None)
        frames = np.concatenate(list(reader.blocks(4)))
        assert frames.shape == (reader.frame_count, reader.height, reader.width, 2 if flow else 3)
        return frames
    finally:
        reader.close()


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
@pytest.mark.parametrize("container", ["folder", "tar"])
def test_images_in_order_of_their_numbers(tmp_path: Path, suffix: str, container: str) -> None:
    names = [f"a.b {number}{suffix}" for number in range(8, 15)]
    folder = write_images(tmp_path / "a", names)
    path = folder if container == "folder" else make_tar(folder, tmp_path / "a.tar")
    np.testing.assert_array_equal(read(path), np.stack([picture(number) for number in range(7)]))


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".jpeg"])
def test_pixels_are_opencvs(tmp_path: Path, suffix: str) -> None:
    folder = write_images(tmp_path / "a", [f"{number}{suffix}" for number in range(3)])
    expected = np.stack([cv2.imread(str(folder / f"{number}{suffix}"))[..., ::-1] for number in range(3)])
    np.testing.assert_array_equal(read(folder), expected)


def test_frames_are_those_of_the_video(tmp_path: Path, ffmpeg: str) -> None:
    """PNG frames written by ffmpeg; moving content shows an image that is mixed with the one before it."""
    video = tmp_path / "v.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25", "-frames:v", "12", "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg, "-v", "error", *source, str(video)], check=True)
    folder = tmp_path / "v"
    folder.mkdir()
    subprocess.run([ffmpeg, "-v", "error", "-i", str(video), str(folder / "frame_%d.png")], check=True)
    reader = pyav_reader.open_reader(video)
    expected = np.concatenate(list(reader.blocks(5)))
    reader.close()
    np.testing.assert_array_equal(read(folder), expected)
    np.testing.assert_array_equal(read(make_tar(folder, tmp_path / "v.tar")), expected)


@pytest.mark.parametrize("channels", ["grey", "alpha", "palette"])
def test_other_pixel_formats_become_rgb(tmp_path: Path, channels: str) -> None:
    from PIL import Image

    grey = picture(0)[..., 0]
    image = Image.fromarray(grey)
    if channels == "alpha":
        image = Image.merge("RGBA", [image, image, image, Image.fromarray(255 - grey)])
    elif channels == "palette":
        image = image.convert("P")
    image.save(tmp_path / "1.png")
    np.testing.assert_array_equal(read(tmp_path)[0], np.repeat(grey[..., None], 3, axis=2))


def test_ignored_files(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a", ["1.png", "2.png"])
    for name in ("Thumbs.db", ".DS_Store", "._1.png"):
        (folder / name).write_bytes(b"x")
    assert open_images(folder).note == ""
    (folder / "notes.txt").touch()
    for path in (folder, make_tar(folder, tmp_path / "a.tar")):
        reader = ImageReader(ImageSequence(path, 25.0))
        assert (reader.frame_count, reader.note) == (2, "beside the images, ignored: notes.txt")
        reader.close()


FAULTS: dict[str, tuple[list[str], str]] = {
    "gap": (["f_1.png", "f_2.png", "f_5.png"], r"2 images are missing: f_5\.png follows f_2\.png"),
    "gaps": (["1.png", "3.png", "9.png"], r"6 images are missing: 3\.png follows 1\.png, and 1 more gaps"),
    "kinds": (["1.png", "2.jpg"], r"2 kinds of images: 1\.png and 2\.jpg"),
    "series": (["left_1.jpg", "right_1.jpg"], r"2 series of images: left_1\.jpg and right_1\.jpg"),
    "series and flow": (
        ["a_1.jpg", "b_1.jpg", "flow_x_1.jpg", "flow_y_1.jpg"],
        r"2 series of images: a_1\.jpg and b_1\.jpg",
    ),
    "same number": (["f_1.png", "f_01.png"], r"f_0?1\.png and f_0?1\.png have the same number"),
    "no number": (["1.png", "cover.png"], r"the image 'cover\.png' has no number at the end of its name"),
    "none": ([], r"no images"),
}


@pytest.mark.parametrize("container", ["folder", "tar"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_names(tmp_path: Path, fault: str, container: str) -> None:
    names, message = FAULTS[fault]
    folder = write_images(tmp_path / "a", names)
    path = folder if container == "folder" else make_tar(folder, tmp_path / "a.tar")
    with pytest.raises(VideoError, match=message) as caught:
        open_images(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert "numbered without gaps" in (caught.value.hint or "")


def test_no_images_names_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(VideoError, match=r"no images, found 'notes\.txt'"):
        open_images(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: b"no image at all" * 20, "image that can be read: "),
        (lambda data: data[: len(data) // 2], "image that can be read: "),
        (lambda data: encoded(picture(1, width=32, height=8), ".gif")[:60], "image that can be read: "),
    ],
    ids=["empty", "text", "truncated", "other kind"],
)
def test_unreadable_images_are_named(
    tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes], message: str
) -> None:
    folder = write_images(tmp_path / "a", [f"{number}{suffix}" for number in range(3)])
    third = folder / f"2{suffix}"
    third.write_bytes(damage(third.read_bytes()))
    with pytest.raises(VideoError, match=rf"{folder}: 2\{suffix} .*{message}"):
        read(folder)


def test_damage_anywhere_in_a_png_is_found(tmp_path: Path) -> None:
    data = encoded(picture(0), ".png")
    for seed in range(40):
        damaged = bytearray(data)
        damaged[random.Random(seed).randrange(len(data))] ^= 0x55
        (tmp_path / "1.png").write_bytes(damaged)
        try:
            frames = read(tmp_path)
        except AslKitError:
            continue
        np.testing.assert_array_equal(frames[0], picture(0))  # in a part that is not the picture


def test_sizes_must_be_equal(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a", ["1.png", "2.png"])
    (folder / "3.png").write_bytes(encoded(picture(0, width=10, height=8), ".png"))
    with pytest.raises(VideoError, match=r"3\.png is 10x8, the first, 1\.png, is 24x16"):
        read(folder)


def test_an_image_that_vanishes(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a", [f"{number}.png" for number in range(1, 40)])
    reader = ImageReader(ImageSequence(folder, 25.0))
    (folder / "39.png").unlink()
    with pytest.raises(VideoError, match=r"39\.png is not a PNG image that can be read: "):
        list(reader.blocks(4))
    reader.close()


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file or folder"):
        open_images(tmp_path / "a")


@pytest.mark.parametrize("compression", ["gz", "xz", "bz2"])
def test_compressed_tars_are_refused(tmp_path: Path, compression: str) -> None:
    folder = write_images(tmp_path / "a", ["1.png"])
    path = make_tar(folder, tmp_path / f"a.tar.{compression}", mode=f"w:{compression}")
    assert holds_images(path)
    with pytest.raises(VideoError, match="compressed tar archive cannot be read in place"):
        open_images(path)


def test_damaged_tars(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a", [f"{number}.png" for number in range(5)])
    whole = make_tar(folder, tmp_path / "a.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
    path = tmp_path / "b.tar"
    for cut in (members[2].offset, members[2].offset + 100, members[2].offset_data + 100, members[-1].offset_data):
        path.write_bytes(whole[:cut])
        with pytest.raises(VideoError, match="truncated"):
            open_images(path)
    damaged = bytearray(whole)
    damaged[members[3].offset] ^= 0x55  # tarfile takes it for the end
    path.write_bytes(damaged)
    with pytest.raises(VideoError, match=f"the archive is damaged at byte {members[3].offset}"):
        open_images(path)
    for content in (b"", b"text" * 300):
        path.write_bytes(content)
        with pytest.raises(VideoError, match="not a tar archive that can be read"):
            open_images(path)


def test_a_tar_with_links_or_two_folders(tmp_path: Path) -> None:
    def write(path: Path, members: list[tuple[str, bytes]]) -> Path:
        with tarfile.open(path, "w") as archive:
            for name, kind in members:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, "/etc/passwd"
                data = encoded(picture(0), ".png") if kind == tarfile.REGTYPE else b""
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return path

    link = write(tmp_path / "link.tar", [("1.png", tarfile.REGTYPE), ("2.png", tarfile.SYMTYPE)])
    with pytest.raises(VideoError, match=r"'2\.png' is a link"):
        open_images(link)
    two = write(tmp_path / "two.tar", [("a/1.png", tarfile.REGTYPE), ("b/2.png", tarfile.REGTYPE)])
    with pytest.raises(VideoError, match=r"images in two folders: a/1\.png and b/2\.png"):
        open_images(two)
    outside = write(tmp_path / "outside.tar", [("/../../1.png", tarfile.REGTYPE)])
    assert len(read(outside)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.tar", "outside.tar", "two.tar"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [({"1.png": b""}, True), ({"a.mp4": b""}, False), ({"cover.png": b""}, False), ({".x": b"", "7.jpg": b""}, True)],
)
def test_tars_of_images_are_known_by_their_first_file(
    tmp_path: Path, content: dict[str, bytes], expected: bool
) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in content:
            archive.addfile(tarfile.TarInfo(name))
    assert holds_images(tmp_path / "a.tar") is expected


@given(
    first=st.integers(min_value=0, max_value=10**12),
    count=st.integers(min_value=1, max_value=40),
    widths=st.lists(st.integers(min_value=1, max_value=15), min_size=40, max_size=40),
    prefix=st.sampled_from(["", "frame_", "img 2 ", "a.b-"]),
    random_order=st.randoms(use_true_random=False),
)
def test_order_is_numeric_whatever_the_widths(
    first: int, count: int, widths: list[int], prefix: str, random_order: random.Random
) -> None:
    names = [
        f"{prefix}{number:0{width}d}.jpg" for number, width in zip(range(first, first + count), widths, strict=False)
    ]
    given_names = [*names, "notes.txt", ".hidden_3.jpg"]
    random_order.shuffle(given_names)
    order = order_images(Path("a"), given_names)
    assert ([given_names[position] for position in order.positions], order.kind) == (names, "JPEG")
    assert not order.is_flow


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_images_are_turned_as_exif_says(tmp_path: Path, suffix: str) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(picture(0)).save(tmp_path / f"1{suffix}", "JPEG", exif=exif)
    expected = cv2.imread(str(tmp_path / f"1{suffix}"))[..., ::-1]
    assert expected.shape == (24, 16, 3)
    np.testing.assert_array_equal(read(tmp_path), expected[None])


# Optical flow

LAYOUTS = {
    "x and y": ("flow_x_{:05d}", "flow_y_{:05d}"),
    "short": ("x_{}", "y_{}"),
    "no line": ("x{}", "y{}"),
    "folders": ("u/frame_{:010d}", "v/frame_{:010d}"),
    "bare folders": ("u/{}", "v/{}"),
}


def flow_images(folder: Path, layout: str, *, suffix: str = ".png", count: int = 6) -> Path:
    """Write grey images: of frame k the picture k is horizontal, the picture 100 + k vertical flow."""
    for first, pattern in zip((0, 100), LAYOUTS[layout], strict=True):
        for number in range(count):
            path = folder / f"{pattern.format(number + 5)}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(suffix, picture(first + number)[..., 0])[1].tobytes())
    return folder


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("container", ["folder", "tar"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_flow(tmp_path: Path, layout: str, container: str, suffix: str) -> None:
    folder = flow_images(tmp_path / "a", layout, suffix=suffix)
    path = folder if container == "folder" else make_tar(folder, tmp_path / "a.tar")
    names = [[pattern.format(number) + suffix for pattern in LAYOUTS[layout]] for number in range(5, 11)]
    images = open_images(path)
    assert (images.names, images.frame_count, images.note) == ([name for pair in names for name in pair], 6, "")
    images.close()
    if suffix == ".png":  # which OpenCV cannot read beside decord's zlib
        expected = [[picture(number)[..., 0], picture(100 + number)[..., 0]] for number in range(6)]
    else:
        expected = [[cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE) for name in pair] for pair in names]
    np.testing.assert_array_equal(read(path, flow=True), np.moveaxis(np.array(expected), 1, -1))


@pytest.mark.parametrize("container", ["folder", "tar"])
def test_frames_beside_their_flow(tmp_path: Path, container: str) -> None:
    """The layout of MMAction: which of both is read is the backbone's choice."""
    folder = write_images(flow_images(tmp_path / "a", "x and y"), [f"img_{number:05d}.png" for number in range(1, 8)])
    path = folder if container == "folder" else make_tar(folder, tmp_path / "a.tar")
    np.testing.assert_array_equal(read(path), np.stack([picture(number) for number in range(7)]))
    assert read(path, flow=True).shape == (6, 16, 24, 2)


FLOW_FAULTS: dict[str, tuple[list[str], bool, str]] = {
    "no y": (["flow_x_1.png", "flow_x_2.png"], True, r"expected, .* found only flow_x_1\.png to flow_x_2\.png"),
    "frames": (["img_1.png", "img_2.png"], True, r"expected, .* found only img_1\.png to img_2\.png"),
    "no y beside frames": (["flow_x_1.png", "img_1.png"], True, r"2 series of images: flow_x_1\.png and img_1\.png"),
    "fewer y": (
        ["flow_x_1.png", "flow_x_2.png", "flow_y_1.png"],
        True,
        r"2 images of horizontal optical flow and 1 of vertical: flow_x_2\.png has no counterpart",
    ),
    "other numbers": (
        ["x_1.png", "y_2.png"],
        True,
        r"1 images of horizontal optical flow and 1 of vertical: x_1\.png has no counterpart",
    ),
    "gap": (["x_1.png", "x_2.png", "x_4.png", "y_1.png"], True, r"1 images are missing: x_4\.png follows x_2\.png"),
    "kinds": (["x_1.png", "y_1.jpg"], True, r"2 kinds of images: x_1\.png and y_1\.jpg"),
    "colour": (["x_1.png", "y_1.png"], True, r"x_1\.png .*: optical flow is 8-bit grey, found rgb24"),
    "colour JPEG": (["x_1.jpg", "y_1.jpg"], True, r"x_1\.jpg .*: optical flow is 8-bit grey, found YCbCr"),
    "WebP": (["x_1.webp", "y_1.webp"], True, r"x_1\.webp .*: optical flow is 8-bit grey, found WebP, which is always"),
    "flow": (["x_1.png", "y_1.png"], False, r"these images hold optical flow \(x_1\.png, y_1\.png\), and RGB frames"),
    "vertical of another size": (["u/1.png", "v/1.png"], True, r"v/1\.png is 4x4, the first, u/1\.png, is 24x16"),
}


@pytest.mark.parametrize("fault", FLOW_FAULTS)
def test_faults_of_flow(tmp_path: Path, fault: str) -> None:
    names, flow, message = FLOW_FAULTS[fault]
    for name in names:
        (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        grey = fault == "vertical of another size"
        frame = picture(0, width=4, height=4) if name.startswith("v/") else picture(0)
        image = frame[..., 0] if grey else frame
        (tmp_path / "a" / name).write_bytes(cv2.imencode(Path(name).suffix, image)[1].tobytes())
    with pytest.raises(VideoError, match=message) as caught:
        read(tmp_path / "a", flow=flow)
    assert caught.value.message.startswith(f"{tmp_path / 'a'}: ")


def test_a_video_file_in_place_of_flow(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"v\.mp4: a video file, and images of optical flow are expected"):
        open_reader(tmp_path / "v.mp4", "pyav", threads=1, device="cpu", flow_images=True)
