from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.support import add_video, make_features, make_spec

from asl_kit.errors import StoreError
from asl_kit.grid import FeatureGrid
from asl_kit.store import FeatureStore, Problem
from asl_kit.store.ledger import Outcome


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open_or_create(tmp_path / "store", make_spec())
    add_video(store, "fine", make_features(1100))
    add_video(store, "clip", make_features(1100))
    return store


def flip_bit(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


def edit(**attributes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        document = json.loads((folder / "zarr.json").read_text())
        document["attributes"] |= attributes
        (folder / "zarr.json").write_text(json.dumps(document))

    return change


def rename_codec(folder: Path, name: object) -> None:
    document = json.loads((folder / "zarr.json").read_text())
    document["codecs"][0]["name"] = name
    (folder / "zarr.json").write_text(json.dumps(document))


DEEP = [
    pytest.param(lambda folder: flip_bit(folder / "c.0.0", 0), "damaged: CRC-32C of the data is", id="first bit"),
    pytest.param(lambda folder: flip_bit(folder / "c.1.0", 4399), "damaged: CRC-32C of the data is", id="last bit"),
    pytest.param(lambda folder: (folder / "c.1.0").unlink(), "data cannot be read: c.1.0: No such file", id="lost"),
    pytest.param(lambda folder: os.truncate(folder / "c.1.0", 8), "c.1.0 holds 8 bytes, expected 4400", id="cut"),
    pytest.param(edit(crc32c="00000000"), "recorded is 00000000", id="checksum"),
    pytest.param(lambda folder: rename_codec(folder, 1.5), "Zarr cannot read it: Expected a string", id="codec"),
]
SHALLOW = [
    pytest.param(
        lambda folder: (folder / "zarr.json").unlink(), "metadata cannot be read: zarr.json: No such", id="none"
    ),
    pytest.param(lambda folder: os.truncate(folder / "zarr.json", 90), "metadata cannot be read: ", id="metadata cut"),
    pytest.param(edit(grid=None), "metadata cannot be read: attributes are of the wrong type", id="no grid"),
    pytest.param(edit(grid=FeatureGrid(0, 1, 7).to_json()), "1100 features, but the grid has 7", id="grid length"),
    pytest.param(edit(fps="fast"), "metadata cannot be read: could not convert", id="fps"),
    pytest.param(edit(fps=0), "metadata cannot be read: fps must be a finite number above 0, got 0", id="fps 0"),
    pytest.param(edit(frames=float("inf")), "metadata cannot be read: attributes are of the wrong type", id="frames"),
    pytest.param(edit(video_id="other"), "holds video 'other', expected 'clip'", id="id"),
]


@pytest.mark.parametrize(("damage", "message"), [*DEEP, *SHALLOW])
def test_names_the_video_and_what_is_wrong(store: FeatureStore, damage: Callable[[Path], object], message: str) -> None:
    assert store.verify() == []
    damage(store.folder("clip"))
    problems = store.verify()
    assert [problem.place for problem in problems] == ["videos/clip"]
    assert message in problems[0].what
    assert str(problems[0]).startswith("videos/clip: ")


@pytest.mark.parametrize(("damage", "message"), DEEP)
def test_a_quick_look_reads_no_features(store: FeatureStore, damage: Callable[[Path], object], message: str) -> None:
    damage(store.folder("clip"))
    assert store.verify(deep=False) == []


@pytest.mark.parametrize(("damage", "message"), SHALLOW)
def test_a_quick_look_finds_wrong_metadata(store: FeatureStore, damage: Callable[[Path], object], message: str) -> None:
    damage(store.folder("clip"))
    assert message in store.verify(deep=False)[0].what


def test_a_lost_attribute_is_named(store: FeatureStore) -> None:
    document = json.loads((store.folder("clip") / "zarr.json").read_text())
    del document["attributes"]["frames"]
    (store.folder("clip") / "zarr.json").write_text(json.dumps(document))
    assert store.verify() == [Problem("videos/clip", "metadata cannot be read: attribute 'frames' is missing")]


def test_a_video_of_another_store(store: FeatureStore, tmp_path: Path) -> None:
    other = FeatureStore.open_or_create(tmp_path / "other", make_spec(feature_dim=5), dtype="float32")
    add_video(other, "clip", make_features(3, dimension=5))
    shutil.rmtree(store.folder("clip"))
    shutil.copytree(other.folder("clip"), store.folder("clip"))
    assert [problem.what for problem in store.verify()] == [
        "features have 5 values, the store's spec says 4",
        "dtype is float32, the store's is float16",
    ]


def test_a_name_that_is_no_id(store: FeatureStore) -> None:
    store.folder("clip").rename(store.path / "videos" / "a b")
    assert Problem("videos/a b", "the name is not an encoded video id") in store.verify()


@pytest.mark.parametrize(
    ("attempts", "is_lost"),
    [
        pytest.param(["done"], True, id="done"),
        pytest.param(["failed", "done"], True, id="failed, then done"),
        pytest.param(["done", "skipped"], True, id="done, then skipped"),
        pytest.param(["done", "failed"], False, id="deleted, then failed"),
        pytest.param(["failed"], False, id="never done"),
        pytest.param(["skipped"], False, id="only skipped"),
        pytest.param([], False, id="never tried"),
    ],
)
@pytest.mark.parametrize("deep", [True, False])
def test_a_video_that_was_done_and_is_gone(
    store: FeatureStore, attempts: list[Outcome], is_lost: bool, deep: bool
) -> None:
    for outcome in attempts:
        store.ledger.record("b/ü 1", outcome)
    problems = store.verify(deep=deep)
    assert [problem.place for problem in problems] == ["videos/b%2F%C3%BC%201"] * is_lost
    assert all("missing: the ledger records video 'b/ü 1' as done at 2" in problem.what for problem in problems)
    add_video(store, "b/ü 1", make_features(3))
    assert store.verify(deep=deep) == []


def test_group_metadata_that_differ(store: FeatureStore) -> None:
    edit(spec={})(store.path / "videos")
    assert store.verify() == [Problem("videos/zarr.json", "differs from the store's zarr.json, expected a copy")]


def test_a_store_without_its_videos_folder(store: FeatureStore) -> None:
    shutil.rmtree(store.path / "videos")
    with pytest.raises(StoreError, match="damaged store: videos: No such file"):
        store.verify()
