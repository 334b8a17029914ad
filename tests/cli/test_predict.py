"""``asl-kit predict``: which videos it takes, what it writes, and what remains when something fails."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from helpers.command_line import run
from helpers.extraction import make_extractor
from helpers.support import write_model, write_video

from asl_extract.extractor import Extractor
from asl_extract.videos import VideoFile, find_videos
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import Detections
from asl_kit.errors import SpecConflictError, VideoError
from asl_kit.inference.detector import Detector
from asl_kit.prediction import predict_videos
from asl_kit.prediction.frame_progress import FrameProgress
from asl_kit.prediction.trained_model import TrainedModel, load_model
from asl_kit.store.spec import ExtractionSpec

SETTINGS: dict[str, Any] = {"backbone": "x3d_xs", "weights": "random", "window_frames": 8, "frame_size": 32}


def make_spec(stride_frames: int = 4) -> ExtractionSpec:
    return make_extractor(**SETTINGS, stride_frames=stride_frames, device="cpu").spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    for name, frames in (("videos/one.mp4", 40), ("videos/deep/two.mp4", 61), ("other/one.mp4", 25)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / name, frames=frames)
    write_model(folder / "model.ckpt", make_spec())
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> TrainedModel:
    return load_model(folder / "model.ckpt", device="cpu")


@pytest.fixture
def loaded(model: TrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare tests that are not about it the loading of the model."""
    monkeypatch.setattr(predict_videos, "load_model", lambda *_, **__: model)


def predict(folder: Path, output: Path, *arguments: object, **options: Any) -> Result:
    words = ["predict", "--checkpoint", folder / "model.ckpt", "-o", output, "--device", "cpu", *arguments]
    return run(*words, **options)


def ids(path: Path) -> list[str]:
    return list(json.loads(path.read_text())["results"])


@pytest.mark.parametrize(
    ("arguments", "listed", "expected"),
    [
        (["videos"], None, ["one", "two"]),
        (["videos/one.mp4", "videos/deep"], None, ["one", "two"]),
        (["videos/**/t*.mp4"], None, ["two"]),
        (["--list", "-"], "videos/one.mp4\n\n  videos/deep \n", ["one", "two"]),
        (["other", "--list", "-"], "videos/*.mp4\r\n", ["other/one", "videos/one"]),
    ],
    ids=["a folder", "a file and a folder", "a pattern", "a list", "same names"],
)
@pytest.mark.usefixtures("loaded")
def test_which_videos(
    arguments: list[str],
    listed: str | None,
    expected: list[str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    result = predict(folder, tmp_path / "out.json", *arguments, input=listed)
    assert result.exit_code == 0, result.output
    assert ids(tmp_path / "out.json") == expected


def test_a_list_holds_names_as_the_file_system_has_them(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.mp4\n")
    result = predict(folder, tmp_path / "out.json", "--list", str(tmp_path / "list.txt"))
    assert result.exit_code == 2
    assert "no such file or folder" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no videos: give files, folders or addresses, or --list FILE"),
        (["nowhere.mp4"], "nowhere.mp4: no such file or folder"),
        (["none*.mp4"], "none*.mp4: no file or folder fits this pattern"),
        (["--list", "nowhere.txt"], "'nowhere.txt': No such file or directory"),
        (["."], "no videos found in ."),
    ],
    ids=["nothing", "missing", "pattern", "list", "empty folder"],
)
def test_no_videos(
    arguments: list[str], message: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = predict(folder, tmp_path / "out.json", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not list(tmp_path.iterdir())


def test_a_list_from_a_closed_stdin(tmp_path: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m asl_kit predict --list - --checkpoint x -o out.json <&-"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("Invalid value for '--list': the standard input is closed\n")


@pytest.mark.usefixtures("loaded")
def test_a_video_that_fails_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "aa.mp4").write_text("no video")
    (tmp_path / "zz.mp4").symlink_to(tmp_path / "gone.mp4")
    shutil.copy(folder / "videos" / "one.mp4", tmp_path / "good.mp4")
    result = predict(folder, tmp_path / "out.json", tmp_path)
    assert result.exit_code == 1
    assert ids(tmp_path / "out.json") == ["good"]
    lines = result.stderr.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("error:"))
    assert lines[first] == "error: 2 of 3 videos failed"
    assert f"{tmp_path / 'aa.mp4'}: not a video that can be read" in lines[first + 1]
    assert str(tmp_path / "zz.mp4") in lines[first + 2]


@pytest.mark.usefixtures("loaded")
def test_features_that_are_not_finite_fail_one_video(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Extractor.extract_all

    def damaged(*arguments: Any, **options: Any) -> Iterator[Any]:
        for video_id, result in real(*arguments, **options):
            if video_id == "two":
                result.features[3, 1] = np.nan
            yield video_id, result

    monkeypatch.setattr(Extractor, "extract_all", damaged)
    result = predict(folder, tmp_path / "out.json", folder / "videos")
    assert result.exit_code == 1
    assert ids(tmp_path / "out.json") == ["one"]
    assert f"1 of 2 videos failed\n  {folder / 'videos/deep/two.mp4'}: x3d_xs: feature 3 is not finite" in result.stderr


@pytest.mark.usefixtures("loaded")
def test_nothing_is_written_where_all_fail(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "aa.mp4").write_text("no video")
    (tmp_path / "out.json").write_text("from before")
    result = predict(folder, tmp_path / "out.json", tmp_path / "aa.mp4")
    assert result.exit_code == 1
    assert "1 of 1 videos failed" in result.stderr
    assert (tmp_path / "out.json").read_text() == "from before"


@pytest.mark.parametrize(
    ("done", "message"),
    [
        (1, "stopped: 1 of 2 videos are done; their detections are in {}"),
        (0, "stopped: 0 of 2 videos are done; nothing was written"),
    ],
)
@pytest.mark.usefixtures("loaded")
def test_what_an_interrupted_run_leaves(
    done: int, message: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Detector.detect
    calls = iter(range(10))

    def detect(*arguments: Any) -> Any:
        if next(calls) == done:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(Detector, "detect", detect)
    result = predict(folder, tmp_path / "out.json", folder / "videos")
    assert result.exit_code == 130
    assert message.format(tmp_path / "out.json") in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"][:done]
    if done:
        assert ids(tmp_path / "out.json") == ["one"]


@pytest.mark.slow
def test_workers_change_nothing(folder: Path, tmp_path: Path) -> None:
    """Two streams of other strides: their features come in any order, and are put together by video and time."""
    shutil.copytree(folder / "videos", tmp_path / "videos")
    write_model(tmp_path / "model.ckpt", make_spec(4), make_spec(8))
    for workers in (0, 2):
        result = predict(tmp_path, tmp_path / f"{workers}.json", tmp_path / "videos", "--workers", workers)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "0.json").read_bytes() == (tmp_path / "2.json").read_bytes()


def test_another_decoder_is_taken_only_when_asked_for(folder: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model.ckpt", make_spec().model_copy(update={"decoder": "pyav 0.1"}))
    result = predict(tmp_path, tmp_path / "out.json", folder / "videos" / "one.mp4")
    assert result.exit_code == 2
    assert "decoder: 'pyav 0.1' against 'pyav " in result.output
    result = predict(tmp_path, tmp_path / "out.json", folder / "videos" / "one.mp4", "--decoder", "pyav")
    assert result.exit_code == 0, result.output


def same(found: Detections, expected: Detections) -> bool:
    columns = ("start_s", "end_s", "score", "label")
    return all(np.array_equal(getattr(found, name), getattr(expected, name)) for name in columns)


def test_detections_are_those_of_stored_features(
    folder: Path, model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the file at once, as by extracting into a store and reading that; long videos' features from a file too."""
    video = folder / "videos" / "deep" / "two.mp4"
    settings = ["--backbone", "x3d_xs", "--weights", "random", "--window", "8", "--size", "32", "--stride", "4"]
    words = ["extract", video, "-o", tmp_path / "store", *settings, "--device", "cpu", "--dtype", "float32"]
    assert run(*words).exit_code == 0
    reader = FeatureReader(tmp_path / "store")
    assert reader.video_ids() == ["two"]
    info = reader.info("two")
    detector = Detector.from_ensemble(model.ensemble, "cpu")
    candidates = detector.detect(reader.read("two"), info.grid, info.duration_s)
    expected = detector.tables(["two"], [candidates]).by_vocabulary["action"]

    found = model.detect(video)
    assert (found.video_id, found.path, found.duration_s, found.fps, found.frames) == ("two", video, 6.1, 10.0, 61)
    assert len(expected) > 10
    assert same(found.tables.by_vocabulary["action"], expected)
    assert [row.video_id for row in found.rows()[:1]] == ["two"]
    monkeypatch.setattr("asl_extract.video_buffers.MAX_BYTES_IN_MEMORY", 0)
    assert same(model.detect(str(video)).tables.by_vocabulary["action"], expected)


def test_detect_raises_what_is_wrong(model: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "aa.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"aa\.mp4: not a video that can be read"):
        model.detect(tmp_path / "aa.mp4")
    write_model(tmp_path / "model.ckpt", make_spec().model_copy(update={"backbone": "imported"}))
    with pytest.raises(SpecConflictError, match="these features were imported"):
        load_model(tmp_path / "model.ckpt")


def test_videos_come_one_by_one(folder: Path, model: TrainedModel) -> None:
    """The first video's detections are there before the second is opened; what is not wanted is not worked on."""
    frames: dict[str, float] = {}

    def count(file: VideoFile, number: float, total: int) -> None:
        frames[file.video_id] = frames.get(file.video_id, 0) + number
        assert frames[file.video_id] <= total

    results: Iterator[tuple[VideoFile, Any]] = model.detect_all(
        find_videos([folder / "videos"]), workers=0, on_frames=count
    )
    file, found = next(results)
    assert isinstance(found, VideoDetections)
    assert (file.video_id, frames) == ("one", {"one": 40})
    assert next(results)[0].video_id == "two"
    assert frames == {"one": 40, "two": 61}


def test_a_name_that_is_no_text_fails_alone(folder: Path, model: TrainedModel, tmp_path: Path) -> None:
    bad = tmp_path / "b\udcff.mp4"
    shutil.copy(folder / "videos" / "one.mp4", bad)
    results = dict(model.detect_all([VideoFile(bad.stem, bad), *find_videos([folder / "other"])]))
    assert [type(result) for result in results.values()] == [VideoError, VideoDetections]


class _Bar:
    def __init__(self) -> None:
        self.done = 0.0
        self.expected: list[float] = []

    def advance(self, amount: float = 1.0) -> None:
        self.done += amount

    def expect(self, total: float) -> None:
        self.expected.append(total)

    def note(self, text: str) -> None:
        pass

    def message(self, text: str) -> None:
        pass


def test_frames_to_come_are_judged_by_size(tmp_path: Path) -> None:
    files = []
    for name, size in (("a", 100), ("b", 300), ("c", 200)):
        (tmp_path / name).write_bytes(bytes(size))
        files.append(VideoFile(name, tmp_path / name))
    bar = _Bar()
    frames = FrameProgress(bar, files)
    frames.advance(files[0], 10, 50)  # 50 frames in 100 bytes, so 250 in the 500 that are left
    frames.advance(files[0], 40, 50)
    frames.finish(files[0])
    frames.advance(files[1], 30, 150)
    frames.finish(files[1])  # it has failed: 120 of its frames will not come
    frames.finish(files[2])  # it could not be opened
    assert bar.expected[:2] == [300, 300]
    assert bar.expected[-1] == bar.done == 80


def test_several_devices_find_the_same_in_the_same_order(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "in")
    (tmp_path / "in" / "videos" / "broken.mp4").write_text("no video")
    outputs = []
    for device in ("cpu", "cpu,cpu"):
        result = predict(tmp_path / "in", tmp_path / f"{device}.json", tmp_path / "in" / "videos", "--device", device)
        assert result.exit_code == 1
        assert "1 of 3 videos failed" in result.stderr
        outputs.append((tmp_path / f"{device}.json").read_bytes())
    assert outputs[0] == outputs[1]


def test_what_is_wrong_is_said_before_processes_start(folder: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model.ckpt", make_spec().model_copy(update={"decoder": "pyav 0.1"}))
    result = predict(tmp_path, tmp_path / "out.json", folder / "videos", "--device", "cpu,cpu")
    assert result.exit_code == 2
    assert "decoder: 'pyav 0.1' against 'pyav " in result.output
    assert "stopped" not in result.output
