"""`predict_videos` from Python: what it returns, writes and raises."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.support import write_video

from asl_extract.videos import VideoFile
from asl_kit.detections.json_format import read_predictions
from asl_kit.detections.per_video import VideoDetections
from asl_kit.detections.table import Detections, DetectionTables
from asl_kit.errors import AslKitError, MissingFileError, PredictionError, UsageError, VideoError
from asl_kit.outputs.viewing import ViewingFiles
from asl_kit.prediction import predict_videos as module
from asl_kit.prediction.predict_videos import PredictionOptions, predict_videos


class Model:
    """Detects one action in each video; "bad" fails, and `ends_at` ends the run."""

    notes: tuple[str, ...] = ()
    ends_at: BaseException | None = None
    ensemble = SimpleNamespace(vocabularies={"action": ("run", "jump")})

    def detect_all(
        self, files: Sequence[VideoFile], **options: Any
    ) -> Iterator[tuple[VideoFile, VideoDetections | AslKitError]]:
        assert options["workers"] == 3
        for file in files:
            if file.video_id == "bad":
                yield file, VideoError(f"{file.path}: not a video")
            elif file.video_id == "z" and self.ends_at is not None:
                raise self.ends_at
            else:
                table = Detections.from_lists([(file.video_id, 0.5, 1.5, "run", 0.9)])
                yield file, VideoDetections(file.video_id, file.path, 4.0, 10.0, 40, DetectionTables({"action": table}))


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "load_model", lambda *_, **__: Model())
    (tmp_path / "videos").mkdir()
    for name in ("a", "bad", "z"):
        write_video(tmp_path / "videos" / f"{name}.mp4", frames=5)
    return tmp_path / "videos"


def test_what_is_detected_is_returned_and_written(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = predict_videos(
        str(videos),
        "m.ckpt",
        str(out / "d.json"),
        report=str(out / "r.html"),
        viewing=ViewingFiles(subtitles=str(out)),
        options=PredictionOptions(workers=3),
    )
    assert [video.video_id for video in summary.videos] == ["a", "z"]
    names = ["d.json", "r.html", "a.actions.srt", "z.actions.srt"]
    assert summary.written == [out / name for name in names]
    assert all(path.is_file() for path in summary.written)
    assert summary.failed_videos == [f"{videos / 'bad.mp4'}: not a video"]
    with pytest.raises(AslKitError, match=r"^1 of 3 videos failed\n  .*bad\.mp4: not a video$"):
        summary.raise_failures()


@pytest.mark.parametrize("ends_at", [KeyboardInterrupt(), AslKitError("the disk is full")], ids=["Ctrl-C", "full"])
def test_what_ends_the_run_is_raised_after_the_rest_is_written(
    ends_at: BaseException, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "ends_at", ends_at)
    options = PredictionOptions(workers=3)
    with pytest.raises(type(ends_at)):
        predict_videos(videos, "m.ckpt", tmp_path / "d.json", options=options)
    assert read_predictions(tmp_path / "d.json").video_ids == ("a",)
    summary = predict_videos(videos, "m.ckpt", tmp_path / "d.json", options=options, check=False)
    assert summary.stopped_by is ends_at
    with pytest.raises(type(ends_at)):
        summary.raise_failures()


@pytest.mark.usefixtures("videos")
def test_no_such_video(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.mp4: no such file or folder"):
        predict_videos(["none.mp4"], "m.ckpt", tmp_path / "d.json")


def _scores(folder: Path, **changes: Any) -> PredictionOptions:
    document = {"class": ["jump", "run"], "results": {video: [0.4, 0.1] for video in ("a", "bad", "z")}}
    (folder / "s.json").write_text(json.dumps(document | changes))
    return PredictionOptions(workers=3, video_scores=folder / "s.json", top_k=1)


def test_scores_of_videos_name_the_classes(videos: Path, tmp_path: Path) -> None:
    summary = predict_videos(videos, "m.ckpt", tmp_path / "d.json", options=_scores(tmp_path))
    (row,) = summary.videos[0].rows()
    assert (row.label, row.score) == ("jump", pytest.approx((0.4 * 0.9) ** 0.5))
    assert read_predictions(tmp_path / "d.json").rows("a") == [row]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"results": {"a": [0.5, 0.5]}}, r"s\.json: no scores for 2 videos: bad, z", id="videos"),
        pytest.param({"class": ["jump", "fly"]}, "1 of its 2 classes are not among the 2 .*: fly", id="classes"),
        pytest.param({"results": {"a": [0.5]}}, "video 'a': expected 2 scores", id="length"),
    ],
)
def test_scores_that_do_not_fit_are_refused_before_a_video_is_read(
    changes: dict[str, Any], message: str, videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(PredictionError, match=message):
        predict_videos(videos, "m.ckpt", tmp_path / "d.json", options=_scores(tmp_path, **changes))
    assert not (tmp_path / "d.json").exists()


def test_scores_name_the_classes_of_one_vocabulary(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Model, "ensemble", SimpleNamespace(vocabularies={"verb": ("run",), "noun": ("dog",)}))
    with pytest.raises(UsageError, match="the model has several: verb, noun"):
        predict_videos(videos, "m.ckpt", tmp_path / "d.json", options=_scores(tmp_path))
