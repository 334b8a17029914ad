from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers.support import make_annotation_set, make_features
from numpy.typing import NDArray

from asl_kit.annotations import write_annotations
from asl_kit.errors import FeatureError, SpecConflictError, StoreError
from asl_kit.feature_import import ImportSettings, ImportSummary, import_features
from asl_kit.grid import FeatureGrid
from asl_kit.manifests.schema import FeatureSet
from asl_kit.store import FeatureStore

DURATION_S = 100.0
LENGTH = 747
"""Windows of 16 frames, one every 4, that fit in 100 s at 30 frames per second."""


class Place:
    """A folder of feature files, annotations of the videos a, b and c, and where the store goes."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.files.mkdir()
        self.store_path = folder / "store"
        self.annotations = folder / "annotations.json"
        self.annotate({name: {"fps": 30.0} for name in "abc"})

    def annotate(self, videos: dict[str, dict[str, Any]]) -> None:
        found = make_annotation_set({name: ("train", []) for name in videos}, ["action"])
        changed = {name: found.videos[name].model_copy(update=changes) for name, changes in videos.items()}
        write_annotations(found.model_copy(update={"videos": changed}), self.annotations)

    def save(self, name: str, values: NDArray[Any]) -> None:
        np.save(self.files / f"{name}.npy", values)

    def run(self, **options: Any) -> ImportSummary:
        timing = {"window_frames": 16, "stride_frames": 4} if not {"preset", "resized"} & options.keys() else {}
        run = {"annotations": self.annotations} | options
        names = ("annotations", "on_error", "replace_changed", "workers")
        here = {name: run.pop(name) for name in names if name in run}
        return import_features(self.files, self.store_path, ImportSettings(**(timing | run)), **here)

    @property
    def store(self) -> FeatureStore:
        return FeatureStore.open(self.store_path)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_videos_are_stored_with_their_grid(place: Place) -> None:
    for seed, name in enumerate("ab"):
        place.save(name, make_features(LENGTH - seed, seed=seed).T[None])
    place.save("nobody", make_features(10).T)
    (place.files / "notes.txt").write_text("")
    summary = place.run(name="i3d", offset_s=0.25)
    assert summary.layout == "channels-first, 4 values a feature (the only axis of the same size in all 2 files)"
    assert summary.timing == "windows of 16 frames, one every 4, fps of each video, the first starting at 0.25 s"
    assert (summary.done, summary.failed, summary.features) == (["a", "b"], {}, 2 * LENGTH - 1)
    assert summary.unmatched_files == [str(place.files / "nobody.npy")]
    assert summary.videos_without_features == ["c"]
    assert summary.other_files == [str(place.files / "notes.txt")]
    assert summary.squeezed == [f"{place.files / name}.npy: (1, 4, {LENGTH - seed})" for seed, name in enumerate("ab")]
    assert summary.matched_by == {"name": 2}
    info = place.store.info("b")
    assert info.grid == FeatureGrid(16 / 2 / 30 + 0.25, 4 / 30, LENGTH - 1)
    assert (info.duration_s, info.fps, info.frames) == (DURATION_S, 30.0, None)
    np.testing.assert_array_equal(place.store.read("b"), make_features(LENGTH - 1, seed=1).astype(np.float16))
    spec = place.store.spec
    assert (spec.backbone, spec.weights, spec.sampling) == ("imported", "i3d", "imported, offset 0.25 s")
    assert (spec.window_frames, spec.stride_frames, spec.fps, spec.feature_dim) == (16, 4, None, 4)


def test_without_annotations_the_features_say_how_long_a_video_is(place: Place) -> None:
    place.save("x", make_features(10))
    assert place.run(annotations=None, fps=25.0, dimension=4).done == ["x"]
    info = place.store.info("x")
    assert (info.duration_s, info.fps, info.frames) == (pytest.approx((9 * 4 + 16) / 25), None, None)


def test_a_rerun_goes_on(place: Place) -> None:
    place.save("a", make_features(LENGTH))
    place.run(dimension=4)
    place.save("b", make_features(LENGTH))
    summary = place.run(dimension=4)
    assert (summary.skipped, summary.done) == (["a"], ["b"])


def test_another_timing_conflicts(place: Place) -> None:
    place.save("a", make_features(LENGTH))
    place.run(dimension=4)
    for changes, message in (
        ({"stride_frames": 8}, "stride_frames: 4 against 8"),
        ({"offset_s": 1.0}, "sampling: 'imported' against 'imported, offset 1 s'"),
        ({"name": "i3d"}, "weights: 'unnamed' against 'i3d'"),
    ):
        with pytest.raises(SpecConflictError, match=message):
            place.run(**({"dimension": 4, "window_frames": 16, "stride_frames": 4} | changes))


def nan_features() -> NDArray[np.float32]:
    features = make_features(LENGTH)
    features[3, 2] = np.nan
    return features


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        pytest.param(nan_features(), "feature 3 is nan in dimension 2, expected a finite number", id="nan"),
        pytest.param(np.full((9, 4), np.inf, np.float32), "feature 0 is inf", id="inf"),
        pytest.param(np.full((9, 4), 7e4, np.float32), "feature 0 is 70000.0 in dimension 0, the store's", id="huge"),
        pytest.param(np.empty((0, 4), np.float32), "empty", id="empty"),
        pytest.param(np.ones((9, 4), np.int64), "the values are int64", id="integers"),
        pytest.param(np.ones((9, 5), np.float32), r"is \(9, 5\), expected \(T, 4\)", id="another dimension"),
        pytest.param(np.ones((9, 4, 2), np.float32), "expected two axes", id="three axes"),
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_video_that_fails_stops_no_other(place: Place, values: NDArray[Any], reason: str, workers: int) -> None:
    place.save("a", make_features(LENGTH))
    place.save("b", values)
    place.save("c", make_features(LENGTH))
    summary = place.run(dimension=4, workers=workers)
    assert summary.done == ["a", "c"]
    assert list(summary.failed) == ["b"]
    assert place.store.ledger.failures() == summary.failed
    with pytest.raises(FeatureError, match=reason):
        place.run(dimension=4, workers=workers, on_error="stop")
    place.save("b", make_features(LENGTH))
    assert place.run(dimension=4).done == ["b"]
    assert place.store.ledger.failures() == {}


def test_values_beyond_half_precision_fit_in_single(place: Place) -> None:
    place.save("a", np.full((9, 4), 7e4, np.float32))
    assert place.run(dimension=4, dtype="float32").done == ["a"]


def test_a_full_disk_is_no_fault_of_the_video(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        place.save(name, make_features(LENGTH))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("asl_kit.store.arrays._write_all", refuse)
    with pytest.raises(StoreError, match="No space left on device"):
        place.run(dimension=4)
    assert place.store.video_ids() == []


def test_an_id_that_cannot_be_stored_fails_alone(place: Place) -> None:
    place.save("a", make_features(LENGTH))
    place.save("走" * 60, make_features(LENGTH))
    summary = place.run(annotations=None, fps=30.0, dimension=4)
    assert summary.done == ["a"]
    assert "as a file name" in next(iter(summary.failed.values()))


def test_resized_features(place: Place) -> None:
    for name in "ab":
        place.save(name, make_features(20))
    summary = place.run(resized=True, layout="time-first")
    assert summary.timing == "resized: the features of each video span the whole video"
    assert place.store.info("a").grid == FeatureGrid(2.5, 5.0, 20)
    assert (place.store.spec.sampling, place.store.spec.window_frames) == ("resized", 0)
    assert summary.lengths == []


def test_clips_take_their_part_of_the_parent_video(place: Place) -> None:
    place.annotate(
        {
            f"clip{number}": {
                "duration": 10.0,
                "fps": 30.0,
                "attributes": {"parent_video": "p", "parent_start_s": start_s, "parent_end_s": start_s + 10.0},
            }
            for number, start_s in enumerate([0.0, 20.0, 500.0])
        }
    )
    features = make_features(120)
    place.save("p", features)
    summary = place.run(dimension=4, dtype="float32", stride_frames=15, window_frames=15)
    assert summary.done == ["clip0", "clip1"]
    assert "no feature of the parent video is centred in its part, 500 to 510 s" in summary.failed["clip2"]
    assert summary.matched_by == {"part of the parent video": 3}
    info = place.store.info("clip1")
    assert (info.grid.length, info.duration_s) == (20, 10.0)
    assert info.grid.first_center_s == pytest.approx(0.25)
    np.testing.assert_array_equal(place.store.read("clip1"), features[40:60])


def test_lengths_that_contradict_the_duration(place: Place) -> None:
    place.save("a", make_features(LENGTH // 2))
    place.save("b", make_features(LENGTH // 2))
    place.save("c", make_features(LENGTH // 2 + 1))
    summary = place.run()
    assert [(entry.video_id, entry.features) for entry in summary.lengths] == [("a", 373), ("b", 373), ("c", 374)]
    assert summary.suggestions == ["--stride 8", "--fps 15"]
    text = summary.to_text()
    assert "a: 373 features end at 50.13 s, the video at 100.00 s" in text
    assert "the lengths would fit with --stride 8 or --fps 15" in text


def test_lists_are_short_on_screen_and_whole_in_the_report(place: Place) -> None:
    place.save("a", make_features(LENGTH))
    for number in range(15):
        place.save(f"nobody{number:02}", make_features(3))
    summary = place.run(dimension=4)
    assert "files that match no annotated video: 15" in summary.to_text()
    assert "nobody09" in summary.to_text()
    assert "nobody10" not in summary.to_text()
    assert "and 5 more: --json FILE lists all" in summary.to_text()
    assert len(summary.to_json()["unmatched_files"]) == 15


def test_tables_are_time_first(place: Place) -> None:
    for name in "ab":
        np.savetxt(place.files / f"{name}.csv", make_features(LENGTH), delimiter=",")
    summary = place.run()
    assert (summary.done, place.store.spec.feature_dim) == (["a", "b"], 4)


def test_a_container_is_read_by_several_workers(place: Place) -> None:
    with h5py.File(place.files / "all.h5", "w") as file:
        for number in range(30):
            file[f"v_{number:02}"] = make_features(10 + number, seed=number)
    settings = ImportSettings(window_frames=16, stride_frames=4, fps=30.0)
    summary = import_features(str(place.files / "all.h5"), str(place.store_path), settings, workers=4)
    assert summary.done == [f"v_{number:02}" for number in range(30)]
    for number in range(30):
        expected = make_features(10 + number, seed=number).astype(np.float16)
        np.testing.assert_array_equal(place.store.read(f"v_{number:02}"), expected)


class TestPresets:
    @pytest.fixture(autouse=True)
    def known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stated: dict[str, Any] = {"title": "T", "source": "S", "dimensions": 4, "window_frames": 16}
        sets = {
            "own/plain": FeatureSet(**stated, stride_frames=4, suffix="-i3d"),
            "own/late": FeatureSet(**stated, stride_frames=4, fps=25.0, offset_s=0.5),
            "own/resized": FeatureSet(**stated, stride_frames=4, resized_to=20),
        }
        monkeypatch.setattr("asl_kit.feature_import.presets.list_presets", lambda: sets)

    def test_a_preset_states_everything(self, place: Place) -> None:
        place.save("a-i3d", make_features(LENGTH))
        assert place.run(preset="own/plain").done == ["a"]
        assert place.store.spec.weights == "own/plain"
        assert place.store.info("a").grid == FeatureGrid(16 / 2 / 30, 4 / 30, LENGTH)

    def test_rate_and_offset(self, place: Place) -> None:
        place.save("a", make_features(622))
        assert place.run(preset="own/late").lengths == []
        assert place.store.info("a").grid == FeatureGrid(16 / 2 / 25 + 0.5, 4 / 25, 622)

    def test_a_rate_may_be_given_where_the_preset_has_none(self, place: Place) -> None:
        place.save("a", make_features(9))
        place.run(preset="own/plain", fps=10.0, annotations=None)
        assert place.store.info("a").grid.step_s == pytest.approx(0.4)

    def test_resized_to_another_length(self, place: Place) -> None:
        place.save("a", make_features(20))
        place.save("b", make_features(21))
        summary = place.run(preset="own/resized")
        assert summary.done == ["a"]
        assert "21 features, expected 20" in summary.failed["b"]
        assert place.store.spec.window_frames == 16


@pytest.mark.parametrize("container", [False, True], ids=["files", "one container"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_file_that_has_changed_since(place: Place, container: bool, workers: int) -> None:
    def save(**arrays: int) -> None:
        """Write features of the given seeds."""
        for name, seed in arrays.items():
            if container:
                with h5py.File(place.files / "all.h5", "a") as file:
                    if name in file:
                        del file[name]
                    file[name] = make_features(LENGTH, seed=seed)
            else:
                place.save(name, make_features(LENGTH, seed=seed))

    save(a=1, b=2)
    assert place.run(dimension=4, workers=workers).done == ["a", "b"]
    save(b=3, c=4)
    for _ in range(2):
        summary = place.run(dimension=4, workers=workers)
        assert (summary.skipped[0], summary.changed, list(summary.failed)) == ("a", ["b"], ["b"])
        assert "the stored features were made from another file, with other content" in summary.failed["b"]
        assert "1 stored videos were made from other files; --replace-changed makes them" in summary.to_text()
        np.testing.assert_array_equal(place.store.read("b"), make_features(LENGTH, seed=2).astype(np.float16))
    with pytest.raises(FeatureError, match="made from another file") as caught:
        place.run(dimension=4, on_error="stop", workers=workers)
    assert caught.value.hint == "--replace-changed imports it again"

    summary = place.run(dimension=4, replace_changed=True, workers=workers)
    assert (summary.done, summary.skipped, summary.changed, summary.failed) == (["b"], ["a", "c"], ["b"], {})
    assert "1 of them replaced, because their files had changed" in summary.to_text()
    np.testing.assert_array_equal(place.store.read("b"), make_features(LENGTH, seed=3).astype(np.float16))
    assert place.store.verify() == []
    summary = place.run(dimension=4, workers=workers)
    assert (summary.skipped, summary.changed, summary.not_compared) == (["a", "b", "c"], [], {})


def test_a_store_that_records_no_files_is_not_compared(place: Place) -> None:
    place.save("a", make_features(LENGTH))
    place.run(dimension=4)
    path = place.store.folder("a") / "zarr.json"
    document = json.loads(path.read_text())
    del document["attributes"]["source"]
    path.write_text(json.dumps(document))
    place.save("a", make_features(LENGTH, seed=1))
    summary = place.run(dimension=4, replace_changed=True)
    assert (summary.done, summary.skipped) == ([], ["a"])
    assert "1 stored videos could not be compared with their files: the store does not record" in summary.to_text()
