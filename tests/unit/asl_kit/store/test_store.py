from __future__ import annotations

import errno
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr
from helpers.support import add_video, make_features, make_spec

from asl_kit.errors import AslKitError, FeatureError, MissingFileError, SpecConflictError, StoreError, UsageError
from asl_kit.grid import FeatureGrid
from asl_kit.store import FeatureStore, SourceVideo, staging, table
from asl_kit.store import arrays as store_arrays
from asl_kit.store import store as store_module
from asl_kit.store.ledger import default_worker


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore.open_or_create(tmp_path / "store", make_spec())


def outcomes(store: FeatureStore) -> list[tuple[str, str]]:
    return [(attempt.video_id, attempt.outcome) for attempt in store.ledger.attempts()]


class TestReadAndWrite:
    def test_plain_zarr_reads_what_the_store_wrote(self, store: FeatureStore) -> None:
        features = make_features(1025)
        add_video(store, "v", features)
        group = zarr.open_group(store.path, mode="r")
        array = group["videos"]["v"]
        assert isinstance(array, zarr.Array)
        assert (array.metadata.zarr_format, array.dtype, array.compressors) == (3, np.float16, ())
        assert array.chunks == (513, 4)  # two equal chunks, each of at most 1,024 rows
        np.testing.assert_array_equal(array[:], features.astype(np.float16))
        assert dict(group.attrs) == {
            "format": "asl-kit/feature-store",
            "version": 1,
            "spec": make_spec().model_dump(mode="json"),
            "dtype": "float16",
        }
        assert dict(array.attrs) == {
            "video_id": "v",
            "grid": {"first_center_s": 16 / 2 / 30, "step_s": 4 / 30, "length": 1025},
            "duration_s": 4100 / 30,
            "fps": 30.0,
            "frames": 4100,
            "crc32c": f"{google_crc32c.value(features.astype('<f2').tobytes()):08x}",
        }

    @pytest.mark.parametrize(("length", "dtype"), [(0, "float16"), (3, "float32"), (1025, "float16")])
    def test_the_files_are_those_that_zarr_writes(self, tmp_path: Path, length: int, dtype: str) -> None:
        (tmp_path / "ours").mkdir()
        features = make_features(length).T.copy().T  # rows that do not lie one after another
        store_arrays.write_array(tmp_path / "ours", features, dtype, {"x": [1, 0.1]})
        ours = zarr.open_array(tmp_path / "ours", mode="r")
        theirs = zarr.create_array(
            tmp_path / "theirs",
            shape=features.shape,
            chunks=ours.chunks,
            dtype=dtype,
            compressors=None,
            fill_value=float("nan"),
            attributes={"x": [1, 0.1]},
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=("time", "feature"),
            config={"write_empty_chunks": True},
        )
        theirs[:] = features.astype(dtype)
        names = sorted(path.name for path in (tmp_path / "theirs").iterdir())
        assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == names
        for name in names:
            written, expected = ((tmp_path / place / name).read_bytes() for place in ("ours", "theirs"))
            if name == "zarr.json":
                assert json.loads(written) == json.loads(expected)
            else:
                assert written == expected

    def test_frame_rate_and_frames_may_be_unknown(self, store: FeatureStore) -> None:
        add_video(store, "v", make_features(3), fps=None, frames=None)
        info = store.info("v")
        assert (info.fps, info.frames) == (None, None)
        assert store.verify() == []
        assert table([info]).splitlines()[1].split()[4] == "-"

    def test_info_and_read_return_what_was_written(self, store: FeatureStore) -> None:
        features = make_features(7)
        grid = FeatureGrid(0.3, np.float64(0.1), np.int64(7))  # type: ignore[arg-type]
        video = SourceVideo("a/b é", grid, duration_s=1.0, fps=29.97, frames=30)
        store.write(video, features, seconds=2.5)
        info = store.info("a/b é")
        assert (info.video_id, info.grid, info.duration_s, info.fps, info.frames) == ("a/b é", grid, 1.0, 29.97, 30)
        assert (info.dtype, info.shape) == ("float16", (7, 4))
        np.testing.assert_array_equal(store.read("a/b é"), features.astype(np.float16))
        assert store.read("a/b é").dtype == np.float16
        assert "a/b é" in store
        assert store.video_ids() == ["a/b é"]
        attempt = next(store.ledger.attempts())
        assert (attempt.video_id, attempt.outcome, attempt.seconds, attempt.worker) == (
            "a/b é",
            "done",
            2.5,
            default_worker(),
        )

    def test_ids_come_sorted_and_without_strangers(self, store: FeatureStore) -> None:
        for video_id in ["b", "..", "zarr.json", "a b"]:
            add_video(store, video_id, make_features(1))
        (store.path / "videos" / ".DS_Store").write_text("")
        assert store.video_ids() == ["..", "a b", "b", "zarr.json"]

    def test_features_of_nothing_but_zeros_are_written_out(self, store: FeatureStore) -> None:
        add_video(store, "v", np.zeros((2000, 4), np.float32))
        assert len(list(store.folder("v").glob("c.*"))) == 2
        assert not store.read("v").any()

    def test_a_memory_map_and_a_strided_view_can_be_written(self, store: FeatureStore, tmp_path: Path) -> None:
        np.save(tmp_path / "features.npy", make_features(1100))
        features = np.load(tmp_path / "features.npy", mmap_mode="r")
        add_video(store, "map", features)
        add_video(store, "view", features[::-3])
        np.testing.assert_array_equal(store.read("map"), features.astype(np.float16))
        np.testing.assert_array_equal(store.read("view"), features[::-3].astype(np.float16))
        assert store.verify() == []

    def test_what_another_tool_compressed_is_read_all_the_same(self, store: FeatureStore) -> None:
        features = make_features(1500)
        add_video(store, "v", features)
        array = zarr.open_array(store.folder("v"), mode="r")
        values, attributes = np.asarray(array[:]), array.attrs.asdict()
        shutil.rmtree(store.folder("v"))
        compressed = zarr.create_array(
            store.folder("v"), shape=values.shape, chunks=(100, 3), dtype="float16", attributes=attributes
        )
        compressed[:] = values
        np.testing.assert_array_equal(store.read("v"), features.astype(np.float16))
        assert store.verify() == []

    def test_a_store_crosses_to_another_process(self, store: FeatureStore) -> None:
        add_video(store, "v", make_features(3))
        other = pickle.loads(pickle.dumps(store))
        np.testing.assert_array_equal(other.read("v"), store.read("v"))

    def test_the_second_writer_of_a_video_changes_nothing(self, store: FeatureStore) -> None:
        add_video(store, "v", make_features(3, seed=1))
        add_video(store, "v", make_features(5, seed=2))
        np.testing.assert_array_equal(store.read("v"), make_features(3, seed=1).astype(np.float16))
        assert outcomes(store) == [("v", "done"), ("v", "skipped")]

    def test_of_two_writers_at_the_same_moment_one_wins(
        self, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def publish_after_another(folder: Path, target: Path) -> bool:
            monkeypatch.undo()
            add_video(store, "v", make_features(3, seed=1))
            return staging.publish(folder, target)

        monkeypatch.setattr(store_module, "publish", publish_after_another)
        add_video(store, "v", make_features(5, seed=2))
        np.testing.assert_array_equal(store.read("v"), make_features(3, seed=1).astype(np.float16))
        assert outcomes(store) == [("v", "done"), ("v", "skipped")]
        assert list((store.path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("features", "changes", "message"),
    [
        pytest.param([[1, 2, 3, 4], [1, np.nan, np.inf, 4]], {}, "feature 1 is nan in dimension 1", id="nan"),
        pytest.param([[1, 2, 3, -np.inf]], {}, "feature 0 is -inf in dimension 3, expected a finite number", id="inf"),
        pytest.param([[0, 0, 65504.1, 0]], {}, r"dimension 2, the store's float16 ends at 65504", id="overflow"),
        pytest.param([[1, 2, 3]], {}, "features have 3 values, the store's spec says 4", id="dimension"),
        pytest.param([1, 2, 3, 4], {}, r"features are float32 of shape \(4,\), expected floats of shape", id="rank"),
        pytest.param([[1, 2, 3, 4]], {"grid": FeatureGrid(0, 1, 2)}, "1 features, but the grid has 2", id="grid"),
        pytest.param([[1, 2, 3, 4]], {"fps": 0.0}, "fps must be a finite number above 0, got 0.0", id="fps"),
        pytest.param([[1, 2, 3, 4]], {"duration_s": np.nan}, "duration_s must be a finite number", id="duration"),
        pytest.param([[1, 2, 3, 4]], {"frames": -1}, "frames must be 0 or more, got -1", id="frames"),
    ],
)
def test_refuses_features(store: FeatureStore, features: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FeatureError, match=message) as fault:
        add_video(store, "clip 7", np.array(features, np.float32), **changes)
    assert str(store.path) in fault.value.message
    assert "'clip 7'" in fault.value.message
    assert store.video_ids() == []
    assert outcomes(store) == []


def test_finds_the_first_bad_feature_of_a_long_video(store: FeatureStore) -> None:
    features = make_features(3000)
    features[[2500, 2900], 2] = np.nan
    with pytest.raises(FeatureError, match="feature 2500 is nan in dimension 2"):
        add_video(store, "v", features)


def test_overflow_of_float16_names_the_way_out(store: FeatureStore, tmp_path: Path) -> None:
    features = np.full((1, 4), 70000, np.float32)
    with pytest.raises(FeatureError) as fault:
        add_video(store, "v", features)
    assert fault.value.hint == "use --dtype float32"
    wide = FeatureStore.open_or_create(tmp_path / "wide", make_spec(), dtype="float32")
    add_video(wide, "v", features)
    np.testing.assert_array_equal(wide.read("v"), features)
    add_video(wide, "half", np.full((1, 4), 65504, np.float16))  # the largest, and no warning
    assert wide.read("half").dtype == np.float32


def test_integers_are_no_features(store: FeatureStore) -> None:
    with pytest.raises(FeatureError, match="features are int64 of shape"):
        add_video(store, "v", np.ones((2, 4), np.int64))


class TestOpen:
    def test_an_absent_path(self, tmp_path: Path) -> None:
        with pytest.raises(MissingFileError, match="none: no such feature store"):
            FeatureStore.open(tmp_path / "none")

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_text("")
        with pytest.raises(StoreError, match="not a feature store: it is a file"):
            FeatureStore.open(tmp_path / "f")
        with pytest.raises(StoreError, match="not a feature store: it is a file"):
            FeatureStore.open_or_create(tmp_path / "f", make_spec())

    def test_a_folder_of_other_things(self, tmp_path: Path) -> None:
        (tmp_path / "clip.mp4").write_text("")
        with pytest.raises(StoreError, match=r"not a feature store: it has no zarr\.json"):
            FeatureStore.open(tmp_path)
        with pytest.raises(StoreError, match=r"not a feature store, and not empty \(it holds 'clip.mp4'\)"):
            FeatureStore.open_or_create(tmp_path, make_spec())
        assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]

    def test_a_folder_of_videos(self, tmp_path: Path) -> None:
        (tmp_path / "videos").mkdir()
        (tmp_path / "videos" / "clip.mp4").write_text("")
        with pytest.raises(StoreError, match=r"not a feature store, and not empty \(it holds 'videos'\)"):
            FeatureStore.open_or_create(tmp_path, make_spec())

    def test_another_zarr_group(self, tmp_path: Path) -> None:
        zarr.create_group(tmp_path / "other")
        for opening in (FeatureStore.open, lambda path: FeatureStore.open_or_create(path, make_spec())):
            with pytest.raises(StoreError, match=r"its zarr\.json has no attribute format = 'asl-kit/feature-store'"):
                opening(tmp_path / "other")

    @pytest.mark.parametrize(
        ("change", "message", "hint"),
        [
            pytest.param({"version": 2}, "version is 2, this asl-kit reads version 1", "extract again", id="version"),
            pytest.param({"dtype": "int8"}, "dtype is 'int8', expected float16 or float32", None, id="dtype"),
            pytest.param({"spec": None}, "spec: .*found None", "damaged", id="no spec"),
            pytest.param({"spec": {"backbone": "x"}}, "spec: .*weights: missing", "damaged", id="spec fields missing"),
        ],
    )
    def test_other_attributes(
        self, store: FeatureStore, change: dict[str, Any], message: str, hint: str | None
    ) -> None:
        document = json.loads((store.path / "zarr.json").read_text())
        document["attributes"] |= change
        (store.path / "zarr.json").write_text(json.dumps(document))
        with pytest.raises(StoreError, match="(?s)" + message) as fault:
            FeatureStore.open(store.path)
        assert hint is None or hint in (fault.value.hint or "")

    @pytest.mark.parametrize("text", ["", "{", "\x00", "[]"])
    def test_damaged_group_metadata(self, store: FeatureStore, text: str) -> None:
        (store.path / "zarr.json").write_text(text)
        with pytest.raises(StoreError, match=r"zarr\.json"):
            FeatureStore.open(store.path)

    def test_damaged_group_metadata_can_be_restored_as_the_hint_says(self, store: FeatureStore) -> None:
        (store.path / "zarr.json").write_text("")
        with pytest.raises(StoreError, match="not a JSON file") as fault:
            FeatureStore.open(store.path)
        assert fault.value.hint == f"{store.path / 'videos' / 'zarr.json'} is a copy of it: restore it from there"
        shutil.copyfile(store.path / "videos" / "zarr.json", store.path / "zarr.json")
        assert FeatureStore.open(store.path).spec == store.spec

    def test_a_conflicting_spec_is_refused_with_every_field_and_both_values(self, store: FeatureStore) -> None:
        with pytest.raises(SpecConflictError) as fault:
            FeatureStore.open_or_create(store.path, make_spec(backbone="r3d_18", stride_frames=8), dtype="float32")
        assert "backbone: 'x3d_xs' against 'r3d_18'" in fault.value.message
        assert "stride_frames: 4 against 8" in fault.value.message
        assert "dtype: 'float16' against 'float32'" in fault.value.message
        assert fault.value.hint
        assert "window_frames" not in fault.value.message

    def test_opening_again_goes_on(self, store: FeatureStore) -> None:
        add_video(store, "v", make_features(2))
        again = FeatureStore.open_or_create(str(store.path), make_spec())
        assert again.video_ids() == ["v"]

    def test_an_unknown_dtype(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="dtype is 'bfloat16', expected float16 or float32"):
            FeatureStore.open_or_create(tmp_path / "s", make_spec(), dtype="bfloat16")
        assert not (tmp_path / "s").exists()

    def test_an_empty_folder_becomes_a_store(self, tmp_path: Path) -> None:
        FeatureStore.open_or_create(tmp_path, make_spec())
        assert FeatureStore.open(tmp_path).video_ids() == []

    def test_of_two_creators_at_the_same_moment_the_faster_decides_the_spec(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def publish_after_another(folder: Path, target: Path) -> bool:
            monkeypatch.undo()
            FeatureStore.open_or_create(tmp_path / "s", make_spec(backbone="r3d_18"))
            return staging.publish(folder, target)

        monkeypatch.setattr(store_module, "publish", publish_after_another)
        with pytest.raises(SpecConflictError, match="backbone: 'r3d_18' against 'x3d_xs'"):
            FeatureStore.open_or_create(tmp_path / "s", make_spec())
        assert FeatureStore.open(tmp_path / "s").spec.backbone == "r3d_18"
        assert list((tmp_path / "s" / "tmp").iterdir()) == []

    def test_creation_that_was_interrupted_is_completed_with_the_first_spec(self, store: FeatureStore) -> None:
        (store.path / "zarr.json").unlink()
        with pytest.raises(SpecConflictError, match="backbone: 'x3d_xs' against 'r3d_18'"):
            FeatureStore.open_or_create(store.path, make_spec(backbone="r3d_18"))
        assert FeatureStore.open(store.path).spec == make_spec()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda folder: (folder / "c.0.0").unlink(), "c.0.0: No such file", id="chunk lost"),
        pytest.param(lambda folder: os.truncate(folder / "c.0.0", 9), "holds 9 bytes, expected 24", id="chunk cut"),
        pytest.param(lambda folder: (folder / "zarr.json").write_text("{"), "is damaged", id="metadata cut"),
        pytest.param(lambda folder: (folder / "zarr.json").write_text("{}"), "does not describe", id="metadata empty"),
    ],
)
def test_a_damaged_video_is_refused_by_name(
    store: FeatureStore, damage: Callable[[Path], object], message: str
) -> None:
    add_video(store, "clip", make_features(3))
    damage(store.folder("clip"))
    with pytest.raises(StoreError, match=message) as fault:
        store.read("clip")
    assert "'clip'" in fault.value.message
    assert "store verify" in (fault.value.hint or "")


@pytest.mark.parametrize("video_id", ["absent", "..", "/", "x" * 200])
def test_a_video_that_is_not_there(store: FeatureStore, video_id: str) -> None:
    assert video_id not in store
    for look in (store.info, store.read):
        with pytest.raises(StoreError, match=r"no video .* in this store") as fault:
            look(video_id)
        assert fault.value.hint == "`asl-kit store list` prints the ids it has"


@pytest.mark.parametrize("video_id", ["", "x" * 256])
def test_an_id_that_no_video_can_have(store: FeatureStore, video_id: str) -> None:
    assert video_id not in store
    with pytest.raises(StoreError, match="video id"):
        add_video(store, video_id, make_features(1))
    assert store.video_ids() == []


def assert_untouched(store: FeatureStore) -> None:
    assert store.video_ids() == ["before"]
    assert FeatureStore.open(store.path).verify() == []
    assert not (store.path / "tmp").exists() or list((store.path / "tmp").iterdir()) == []
    assert outcomes(store) == [("before", "done")]


@pytest.mark.parametrize("call", ["write_bytes", "_write_all", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_disk_that_refuses_leaves_the_store_as_it_was(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    add_video(store, "before", make_features(3))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if call == "write_bytes":
            patch.setattr(Path, "write_bytes", refuse)
        elif call == "_write_all":
            patch.setattr(store_arrays, "_write_all", refuse)
        elif call == "fsync":
            patch.setattr(os, "fsync", refuse)
        else:
            patch.setattr(Path, "rename", refuse)
        with pytest.raises(StoreError, match=f"video 'after' cannot be written: {os.strerror(number)}") as fault:
            add_video(store, "after", make_features(2000))
    assert (fault.value.hint is None) == (number == errno.EACCES)
    assert_untouched(store)
    add_video(store, "after", make_features(2000))
    assert store.video_ids() == ["after", "before"]


def test_data_that_reads_back_differently_is_not_published(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_video(store, "before", make_features(3))

    def write_and_damage(folder: Path, *rest: Any) -> None:
        store_arrays.write_array(folder, *rest)
        data = bytearray((folder / "c.0.0").read_bytes())
        data[5] ^= 1
        (folder / "c.0.0").write_bytes(data)

    monkeypatch.setattr(store_module, "write_array", write_and_damage)
    with pytest.raises(StoreError, match="'after' does not read back as it was written"):
        add_video(store, "after", make_features(4))
    assert_untouched(store)


def test_a_damaged_folder_in_a_videos_place_is_named(store: FeatureStore) -> None:
    store.folder("v").mkdir()
    (store.folder("v") / "c.0.0").write_bytes(b"rest")
    with pytest.raises(StoreError, match="'v' cannot be written") as fault:
        add_video(store, "v", make_features(4))
    assert isinstance(fault.value, AslKitError)
    assert "store verify" in (fault.value.hint or "")


def test_a_writer_taken_for_dead_writes_again(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def publish_after_a_clearing(folder: Path, target: Path) -> bool:
        monkeypatch.undo()
        shutil.rmtree(folder.parent)
        return staging.publish(folder, target)

    monkeypatch.setattr(store_module, "publish", publish_after_a_clearing)
    add_video(store, "v", make_features(4))
    assert store.verify() == []
    assert store.video_ids() == ["v"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda text: "[" * 100_000, "nested too deep", id="nested"),
        pytest.param(
            lambda text: text.replace("    5,", "    5.0,"), "a (T, D) array of float16 or float32", id="float"
        ),
        pytest.param(lambda text: text.replace("    5,", f"    {10**15},"), "does not fit in memory", id="huge"),
        pytest.param(lambda text: text.replace("    5,", f"    {10**30},"), "does not fit in memory", id="huger"),
    ],
)
def test_metadata_made_to_break_the_reader(change: Callable[[str], str], message: str, tmp_path: Path) -> None:
    store = FeatureStore.open_or_create(tmp_path / "s", make_spec())
    add_video(store, "v", make_features(5))
    document = store.folder("v") / "zarr.json"
    text = document.read_text()
    document.write_text(change(text))
    assert document.read_text() != text
    with pytest.raises(StoreError, match=re.escape(message)):
        store.read("v")
    assert store.verify()
