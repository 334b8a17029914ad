"""Frames as videos, through the commands: features, resumption, faults, prediction and surveys."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from click.testing import Result
from helpers.command_line import run
from helpers.extraction import make_extractor
from helpers.support import write_model, write_video

from asl_extract.backbones import get_backbone
from asl_extract.backbones.weights import load_backbone
from asl_extract.decoders import pyav_reader
from asl_kit.annotations import read_annotations
from asl_kit.store import FeatureStore

BACKBONE = ["--backbone", "x3d_xs", "--weights", "random", "--window", 8, "--stride", 4, "--size", 32]
FRAMES = {"a": 40, "b": 33}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, ffmpeg: str) -> Path:
    """Return a folder with the same two videos as files, as folders of PNG and as tars, and features of the files."""
    root = tmp_path_factory.mktemp("images")
    for name in ("videos", "tars"):
        (root / name).mkdir()
    for name, frames in FRAMES.items():
        video = write_video(root / "videos" / f"{name}.mp4", frames=frames)
        folder = root / "frames" / name
        folder.mkdir(parents=True)
        subprocess.run([ffmpeg, "-v", "error", "-i", str(video), str(folder / "frame_%d.png")], check=True)
        with tarfile.open(root / "tars" / f"{name}.tar", "w") as archive:
            archive.add(folder, name)
    assert extract(root / "videos", root / "features.zarr").exit_code == 0
    return root


def extract(source: Path, store: Path, *words: object) -> Result:
    return run("extract", source, "-o", store, *BACKBONE, "--device", "cpu", *words)


def assert_same_features(store: Path, expected: Path) -> None:
    one, other = FeatureStore.open(store), FeatureStore.open(expected)
    assert one.spec == other.spec
    assert one.video_ids() == other.video_ids() == list(FRAMES)
    for name in FRAMES:
        np.testing.assert_array_equal(one.read(name), other.read(name))
        assert (one.info(name).grid, one.info(name).fps) == (other.info(name).grid, other.info(name).fps)
        assert other.info(name).image_decoder is None
        assert one.info(name).image_decoder == pyav_reader.version()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("frames", ["--workers", 0]),
        ("frames", ["--workers", 2]),
        ("tars", ["--workers", 1, "--decoder-threads", 2]),
        ("tars", ["--device", "cpu,cpu"]),
    ],
)
def test_features_are_those_of_the_video(data: Path, tmp_path: Path, kind: str, words: list[object]) -> None:
    result = extract(data / kind, tmp_path / "store", "--image-fps", 10, *words)
    assert result.exit_code == 0, result.output
    assert_same_features(tmp_path / "store", data / "features.zarr")


def test_one_store_of_videos_and_images(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "features.zarr", tmp_path / "store")
    folder = tmp_path / "frames" / "c"
    shutil.copytree(data / "frames" / "a", folder)
    (folder / "readme.txt").touch()
    result = extract(folder, tmp_path / "store", "--image-fps", 10)
    assert result.exit_code == 0, result.output
    assert "c: beside the images, ignored: readme.txt" in result.output
    store = FeatureStore.open(tmp_path / "store")
    np.testing.assert_array_equal(store.read("c"), store.read("a"))
    again = extract(folder, tmp_path / "store", "--image-fps", 10)
    assert (again.exit_code, "1 already in the store" in again.output) == (0, True)
    other_rate = extract(folder, tmp_path / "store", "--image-fps", 12.5)
    assert other_rate.exit_code == 1
    assert "the stored features were made at 10 images per second, not 12.5" in other_rate.output
    verified = run("store", "verify", tmp_path / "store", "--quick", "--against", tmp_path / "frames")
    assert "1 of 3 videos were made from these files" in verified.output
    (folder / "frame_7.png").write_bytes((folder / "frame_8.png").read_bytes())
    changed = extract(folder, tmp_path / "store", "--image-fps", 10)
    assert (changed.exit_code, "made from another file" in changed.output) == (1, True)


def test_the_annotations_state_the_frame_rate(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "segments.csv"
    table.write_text("video,start,end,label,split,duration,fps\na,0,1,run,train,4,10\nb,0,1,run,test,3.3,10\n")
    assert run("convert", "csv", table, "-o", tmp_path / "annotations.json").exit_code == 0
    result = extract(data / "frames", tmp_path / "store", "--annotations", tmp_path / "annotations.json")
    assert result.exit_code == 0, result.output
    assert_same_features(tmp_path / "store", data / "features.zarr")


@pytest.mark.parametrize("command", ["extract", "predict", "convert", "init"])
def test_without_a_frame_rate_nothing_is_made(data: Path, tmp_path: Path, command: str) -> None:
    table = tmp_path / "segments.csv"
    table.write_text("video,start,end,label\na,0,1,run\nb,0,1,run\n")
    out = tmp_path / "out"
    words: dict[str, list[object]] = {
        "extract": [data / "tars", "-o", out, *BACKBONE, "--device", "cpu"],
        "predict": [data / "tars", "-o", out, "--checkpoint", tmp_path / "none.ckpt"],
        "convert": ["csv", table, "-o", out, "--videos", data / "tars"],
        "init": [table, data / "tars", "--out", out, "--device", "cpu", "--weights", "random"],
    }
    result = run(command, *words[command])
    assert result.exit_code == 2
    assert "a.tar: the frame rate of video 'a' is not known: its frames are images" in result.output
    assert "--image-fps" in result.output
    assert not out.exists()


def test_a_damaged_video_of_images_does_not_stop_the_others(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "frames", tmp_path / "frames")
    (tmp_path / "frames" / "a" / "frame_9.png").unlink()
    result = extract(tmp_path / "frames", tmp_path / "store", "--image-fps", 10)
    assert result.exit_code == 1
    assert "1 images are missing: frame_10.png follows frame_8.png" in result.output
    assert FeatureStore.open(tmp_path / "store").video_ids() == ["b"]
    shutil.copyfile(data / "frames" / "a" / "frame_9.png", tmp_path / "frames" / "a" / "frame_9.png")
    assert extract(tmp_path / "frames", tmp_path / "store", "--image-fps", 10).exit_code == 0
    assert_same_features(tmp_path / "store", data / "features.zarr")


def test_predict(data: Path, tmp_path: Path) -> None:
    spec = make_extractor(
        backbone="x3d_xs", weights="random", window_frames=8, stride_frames=4, frame_size=32, device="cpu"
    ).spec
    write_model(tmp_path / "model.ckpt", spec)
    found = {}
    for kind in ("videos", "frames", "tars"):
        files = ["-o", tmp_path / f"{kind}.json", "--report", tmp_path / f"{kind}.html", "--subtitles", tmp_path / kind]
        result = run(
            "predict",
            data / kind,
            *files,
            "--checkpoint",
            tmp_path / "model.ckpt",
            "--device",
            "cpu",
            "--image-fps",
            10,
        )
        assert result.exit_code == 0, result.output
        found[kind] = json.loads((tmp_path / f"{kind}.json").read_text(encoding="utf-8"))["results"]
        assert ("<video" in (tmp_path / f"{kind}.html").read_text(encoding="utf-8")) or kind != "videos"
        assert len(list((tmp_path / kind).iterdir())) == 2
    assert found["videos"] == found["frames"] == found["tars"]


def test_clips_of_images_are_refused(data: Path, tmp_path: Path) -> None:
    spec = make_extractor(
        backbone="x3d_xs", weights="random", window_frames=8, stride_frames=4, frame_size=32, device="cpu"
    ).spec
    write_model(tmp_path / "model.ckpt", spec)
    files = ["-o", tmp_path / "x.json", "--clips", tmp_path / "clips", "--max-clips", 1, "--min-score", 0]
    result = run(
        "predict", data / "frames" / "a", *files, "--checkpoint", tmp_path / "model.ckpt", "--image-fps", 10,
        "--device", "cpu",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "clips are cut out of video files, and the frames of this video are images" in result.output


def test_init_and_convert(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "segments.csv"
    table.write_text("video,start,end,label,split\na,0.5,2.5,run,train\nb,0,2,run,test\n")
    out = tmp_path / "project"
    result = run(
        "init", table, data / "frames", "--out", out, "--device", "cpu", "--weights", "random", "--image-fps", 10
    )
    assert result.exit_code == 0, result.output
    videos = read_annotations(out / "annotations.json").videos
    assert {name: (video.duration, video.fps) for name, video in videos.items()} == {"a": (4.0, 10), "b": (3.3, 10)}
    words = ["convert", "csv", table, "-o", tmp_path / "x.json", "--image-fps", 10, "--videos", data / "tars"]
    assert run(*words).exit_code == 0
    converted = read_annotations(tmp_path / "x.json").videos
    assert {name: video.duration for name, video in converted.items()} == {"a": 4.0, "b": 3.3}
    table.write_text("video,start,end,label,split\na,0.5,4.5,run,train\nb,0,2,run,test\n")
    late = run(*words)
    assert (late.exit_code, "must be within the 4 s of" in late.output) == (1, True)


def test_flow_images_are_used_in_place_of_computed_flow(data: Path, tmp_path: Path) -> None:
    """TV-L1's flow of a real video, in 8 bits, gives the features of that flow fed to the network in a plain loop."""
    with av.open(str(data / "videos" / "a.mp4")) as container:
        grey = [cv2.resize(frame.to_ndarray(format="gray"), (40, 37)) for frame in container.decode(video=0)][:21]
    flow = np.stack([cv2.optflow.DualTVL1OpticalFlow_create().calc(*pair, None) for pair in itertools.pairwise(grey)])
    levels = ((flow.clip(-20, 20) + 20) * 255 / 40).round().astype(np.uint8)  # denseflow's convertFlowToImage
    assert len(np.unique(levels)) > 20
    folders = {"beside": ("flow_x_{:05d}.png", "flow_y_{:05d}.png"), "apart": ("u/{:010d}.png", "v/{:010d}.png")}
    for name, patterns in folders.items():
        for axis, pattern in enumerate(patterns):
            for number, image in enumerate(levels[..., axis], 1):
                path = tmp_path / "flow" / name / pattern.format(number)
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), image)
        with tarfile.open(tmp_path / "flow" / f"{name}-tar.tar", "w") as archive:
            archive.add(tmp_path / "flow" / name, ".")
    words = ["--backbone", "i3d_flow", "--weights", "random", "--window", 16, "--stride", 2, "--size", 32]
    words += ["--device", "cpu", "--image-fps", 10, "--dtype", "float32", "--flow", "images"]
    store = tmp_path / "store"
    result = run("extract", tmp_path / "flow", "-o", store, *words)
    assert result.exit_code == 0, result.output

    network = load_backbone(get_backbone("i3d_flow"), weights="random", frame_size=32).backbone
    motion = torch.from_numpy(levels[:, 2:34, 4:36].astype(np.float32) / 255 * 40 - 20)  # the centre of 37 x 40
    with torch.inference_mode():
        clips = torch.stack([motion[start : start + 16] for start in (0, 2, 4)]).permute(0, 4, 1, 2, 3)
        expected = network(clips / 20)
    stored = FeatureStore.open(store)
    assert stored.spec.flow == "images, 0 to 255 for -20 to 20 pixels"
    assert stored.video_ids() == ["apart", "apart-tar", "beside", "beside-tar"]
    for name in stored.video_ids():
        np.testing.assert_allclose(stored.read(name), expected, rtol=1e-4, atol=1e-6)
        assert (stored.info(name).image_decoder, stored.info(name).fps) == (pyav_reader.version(), 10)

    again = run("extract", tmp_path / "flow", "-o", store, *words)
    assert (again.exit_code, "4 already in the store" in again.output) == (0, True)
    (tmp_path / "flow" / "apart" / "v" / "0000000003.png").write_bytes(b"other")
    changed = run("extract", tmp_path / "flow", "-o", store, *words)
    assert (changed.exit_code, "made from another file" in changed.output) == (1, True)
    rgb = extract(tmp_path / "flow", tmp_path / "rgb", "--image-fps", 10)
    assert rgb.exit_code == 1
    assert "hold optical flow (u/0000000001.png, v/0000000001.png), and RGB frames are expected" in rgb.output
    for source, fault in (("frames", "found only frame_1.png to frame_40.png"), ("videos", "a.mp4: a video file, and")):
        refused = run("extract", data / source, "-o", tmp_path / source, *words)
        assert (refused.exit_code, fault in refused.output) == (1, True), refused.output
