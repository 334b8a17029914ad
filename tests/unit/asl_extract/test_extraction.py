"""The run over many videos: resume, failures, shards, annotations."""

from __future__ import annotations

import io
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extraction import make_extractor, run_extraction
from helpers.support import make_annotation_set, write_uneven_video, write_video

from asl_extract.executors import worker
from asl_extract.executors.results import VideoResult
from asl_extract.extraction import ExtractionSummary
from asl_kit.annotations import write_annotations
from asl_kit.errors import AslKitError, SpecConflictError, StoreError, UsageError, VideoError
from asl_kit.store import FeatureStore, SourceVideo

SETTINGS = {
    "backbone": "x3d_xs",
    "weights": "random",
    "window_frames": 16,
    "stride_frames": 4,
    "frame_size": 32,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good videos with a broken one between them."""
    folder = tmp_path_factory.mktemp("videos")
    write_video(folder / "a.mp4", frames=30)
    write_video(folder / "c.mp4", frames=22)
    (folder / "b.mp4").write_text("no video")
    return folder


def run(videos: Path, store: Path, **changes: object) -> ExtractionSummary:
    return run_extraction([videos], store, **(SETTINGS | changes))


def test_a_broken_video_does_not_stop_the_rest(videos: Path, tmp_path: Path) -> None:
    summary = run(videos, tmp_path / "store")
    reason = f"{videos / 'b.mp4'}: not a video that can be read: Invalid data found when processing input"
    assert (summary.done, summary.skipped, summary.failed) == (["a", "c"], [], {"b": reason})
    assert summary.frames_decoded / summary.frames_in_files == 1.0
    assert (summary.frames_decoded, summary.features) == (52, 4 + 2)
    assert f"failed: b: {reason}" in summary.to_text()

    store = FeatureStore.open(tmp_path / "store")
    assert store.video_ids() == ["a", "c"]
    assert store.verify() == []
    outcomes = {attempt.video_id: (attempt.outcome, attempt.reason) for attempt in store.ledger.attempts()}
    assert outcomes == {"a": ("done", ""), "b": ("failed", reason), "c": ("done", "")}

    expected = make_extractor(**SETTINGS).extract(videos / "a.mp4")
    assert np.array_equal(store.read("a"), expected.features.astype(np.float16))
    info = store.info("a")
    assert (info.grid, info.frames, info.fps, info.duration_s) == (expected.grid, 30, 10.0, 3.0)


def test_a_second_run_goes_on(videos: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    (one / "a.mp4").symlink_to(videos / "a.mp4")
    run(one, tmp_path / "store")
    summary = run(videos, tmp_path / "store")
    assert (summary.done, summary.skipped, list(summary.failed)) == (["c"], ["a"], ["b"])
    assert summary.frames_decoded == 22


def test_a_video_that_another_process_stores_meanwhile_is_counted_once(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FeatureStore.write

    def write_after_another(store: FeatureStore, video: SourceVideo, *args: object, **options: object) -> bool:
        if video.video_id == "a":
            write(store, video, *args, **options)
        return write(store, video, *args, **options)

    monkeypatch.setattr(FeatureStore, "write", write_after_another)
    summary = run(videos, tmp_path / "store")
    assert (summary.done, summary.skipped, summary.features) == (["c"], ["a"], 2)


def test_failed_videos_are_tried_again_when_asked_or_changed(videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "b.mp4").write_text("no video")
    reason = run(folder, tmp_path / "store").failed["b"]
    again = run(folder, tmp_path / "store")
    assert (again.done, again.failed, again.failed_before) == ([], {}, {"b": reason})
    assert "1 failed before and were not tried again; --retry-failed tries them" in again.to_text()
    retried = run(folder, tmp_path / "store", retry_failed=True)
    assert (retried.failed, retried.failed_before) == ({"b": reason}, {})

    shutil.copyfile(videos / "c.mp4", folder / "b.mp4")
    repaired = run(folder, tmp_path / "store")
    assert (repaired.done, repaired.failed, repaired.failed_before) == (["b"], {}, {})


def test_features_do_not_depend_on_workers_or_shards(videos: Path, tmp_path: Path) -> None:
    runs = {"here": {"workers": 0}, "two": {"workers": 2}, "large": {"workers": 1, "batch_size": 3}}
    for name, changes in runs.items():
        summary = run(videos, tmp_path / name, dtype="float32", **changes)
        assert (sorted(summary.done), list(summary.failed)) == (["a", "c"], ["b"])
    for shard in ("2/2", "1/2"):
        run(videos, tmp_path / "shards", dtype="float32", workers=1, shard=shard)
    here, two, large, shards = (FeatureStore.open(tmp_path / name) for name in ("here", "two", "large", "shards"))
    for video_id in ("a", "c"):
        expected = here.read(video_id)
        assert np.array_equal(two.read(video_id), expected)
        assert np.array_equal(shards.read(video_id), expected)
        np.testing.assert_allclose(large.read(video_id), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_features_of_a_long_video_are_kept_in_a_file(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(videos, tmp_path / "memory")
    monkeypatch.setattr("asl_extract.video_buffers.MAX_BYTES_IN_MEMORY", 4 * 2048 * 3)
    run(videos, tmp_path / "file", batch_size=1)  # "a" has 4 features, "c" 2
    for video_id in ("a", "c"):
        expected = FeatureStore.open(tmp_path / "memory").read(video_id)
        found = FeatureStore.open(tmp_path / "file").read(video_id)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)


def test_a_full_disk_while_features_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    monkeypatch.setattr("asl_extract.video_buffers.MAX_BYTES_IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: io.FileIO("/dev/full", "w"))
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "a.mp4", frames=20)
    with pytest.raises(
        AslKitError, match="cannot write the features of a long video: No space left on device"
    ) as caught:
        run(folder, tmp_path / "store")
    assert "stored features remain valid" in str(caught.value.hint)
    assert FeatureStore.open(tmp_path / "store").verify() == []


def test_features_are_written_by_a_thread_and_reported_once_written(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[tuple[str, str]] = []
    write, report = FeatureStore.write, ExtractionSummary.add

    def slow_write(store: FeatureStore, video: SourceVideo, *rest: object, **options: object) -> bool:
        assert threading.current_thread() is not threading.main_thread()
        time.sleep(0.1)
        is_stored = write(store, video, *rest, **options)  # type: ignore[arg-type]
        log.append(("written", video.video_id))
        return is_stored

    def add(summary: ExtractionSummary, result: VideoResult) -> None:
        assert threading.current_thread() is threading.main_thread()
        log.append((result.status, result.video_id))
        report(summary, result)

    monkeypatch.setattr(FeatureStore, "write", slow_write)
    monkeypatch.setattr(ExtractionSummary, "add", add)
    run(videos, tmp_path / "store", workers=0)
    assert sorted(log) == sorted([("written", "a"), ("done", "a"), ("failed", "b"), ("written", "c"), ("done", "c")])
    assert log.index(("written", "a")) < log.index(("done", "a")) < log.index(("failed", "b"))
    assert log.index(("written", "c")) < log.index(("done", "c"))


def test_a_write_that_fails_ends_the_run_with_its_error(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(store: FeatureStore, video: SourceVideo, *_: object, **__: object) -> None:
        raise StoreError(f"{video.video_id} cannot be written: No space left on device", hint="free some space")

    monkeypatch.setattr(FeatureStore, "write", write)
    with pytest.raises(StoreError, match="a cannot be written: No space left on device"):
        run(videos, tmp_path / "store")
    assert FeatureStore.open(tmp_path / "store").video_ids() == []


def test_on_error_stop(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"b\.mp4: not a video"):
        run(videos, tmp_path / "store", on_error="stop")
    store = FeatureStore.open(tmp_path / "store")
    assert store.video_ids() == ["a"]
    assert [attempt.outcome for attempt in store.ledger.attempts()] == ["done", "failed"]


def test_no_later_video_is_stored_while_a_failure_is_recorded(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_video = worker.store_video

    def slow(store: FeatureStore, video_id: str, extracted: object, **options: Any) -> VideoResult:
        if isinstance(extracted, AslKitError):
            time.sleep(1.0)
        return store_video(store, video_id, extracted, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "store_video", slow)
    test_on_error_stop(videos, tmp_path)


def test_shards_fill_one_store(videos: Path, tmp_path: Path) -> None:
    summaries = [run(videos, tmp_path / "store", shard=f"{part}/2") for part in (1, 2)]
    assert [summary.done for summary in summaries] == [["a", "c"], []]
    assert list(summaries[1].failed) == ["b"]


def test_annotations_restrict_the_run(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "annotations.json"
    write_annotations(make_annotation_set({"c": ("train", []), "gone": ("test", None)}, ["x"]), path)
    summary = run(videos, tmp_path / "store", annotations=path)
    assert (summary.done, summary.missing) == (["c"], ["gone"])
    assert f"1 videos of {path} have no file: gone" in capsys.readouterr().err

    write_annotations(make_annotation_set({"gone": ("test", None)}, ["x"]), path)
    with pytest.raises(UsageError, match="none of the videos is in"):
        run(videos, tmp_path / "other", annotations=path)
    assert not (tmp_path / "other").exists()


def test_store_of_another_backbone(videos: Path, tmp_path: Path) -> None:
    run(videos, tmp_path / "store")
    with pytest.raises(SpecConflictError) as caught:
        run(videos, tmp_path / "store", stride_frames=8)
    assert "stride_frames: 4 against 8" in caught.value.message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": -1}, "workers must be 0 or more, got -1"),
        ({"time_limit_s": 0.0}, "time limit must be above 0 seconds, got 0"),
        ({"on_error": "ignore"}, "on_error is 'ignore', expected skip or stop"),
        ({"shard": "3/2"}, "shard '3/2' is not I/N"),
        ({"backbone": "resnet"}, "unknown backbone 'resnet'"),
        ({"decoder": "opencv"}, "unknown decoder 'opencv'"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_settings_leave_nothing_behind(
    changes: dict[str, object], message: str, videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        run(videos, tmp_path / "store", **changes)
    assert not (tmp_path / "store").exists()


def test_progress_ends_at_the_number_of_videos(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(videos, tmp_path / "store")
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("extract 3/3") and "frames/s" in line for line in lines)


def test_a_name_that_cannot_be_stored_does_not_stop_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "z.mp4", frames=20)
    long = "动作" * 20  # 40 characters: fits as a file's name, not percent-encoded
    write_video(folder / f"{long}.mp4", frames=20)
    summary = run(folder, tmp_path / "store")
    assert summary.done == ["z"]
    assert "takes 360 bytes as a file name" in summary.failed[long]


def test_variable_frame_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_uneven_video(tmp_path / "uneven.mp4")
    run_extraction([path], tmp_path / "own", **SETTINGS)
    note = "variable frame rate, resampled to its average of 5.016 frames per second"
    assert f"uneven: {note}" in capsys.readouterr().err
    store = FeatureStore.open(tmp_path / "own")
    assert [(attempt.outcome, attempt.reason) for attempt in store.ledger.attempts()] == [("done", note)]
    info = store.info("uneven")
    # 23 frames in 4.585 s; windows of 16 of them, one every 4.
    assert info.duration_s == pytest.approx(4.585)
    assert info.grid.centers_s().tolist() == pytest.approx([8 * 4.585 / 23, 12 * 4.585 / 23])

    run_extraction([path], tmp_path / "resampled", fps=20, **SETTINGS)
    store = FeatureStore.open(tmp_path / "resampled")
    assert [attempt.reason for attempt in store.ledger.attempts()] == [""]
    # 4.585 s make 92 frames of 20 a second: (92 - 16) // 4 + 1 windows, the first centred at 8 / 20 s.
    grid = store.info("uneven").grid
    assert (grid.length, grid.first_center_s, grid.step_s) == (20, pytest.approx(0.4), pytest.approx(0.2))
