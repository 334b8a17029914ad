from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from helpers.support import add_video, make_features, make_spec

from asl_kit.store import FeatureStore, FileIdentity, compare_sources
from asl_kit.store.identity import BLOCK_BYTES, MAX_BLOCKS

SAMPLED = BLOCK_BYTES * MAX_BLOCKS


def write(path: Path, size_bytes: int) -> Path:
    path.write_bytes(bytes(number % 251 for number in range(997)) * (size_bytes // 997 + 1))
    os.truncate(path, size_bytes)
    return path


def change_byte(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize(
    ("size_bytes", "position"),
    [
        pytest.param(1, 0, id="one byte"),
        pytest.param(1000, 999, id="small, last"),
        pytest.param(SAMPLED, SAMPLED // 2 + 3, id="the largest file that is read whole"),
        pytest.param(10 * SAMPLED, 0, id="large, first"),
        pytest.param(10 * SAMPLED, 10 * SAMPLED - 1, id="large, last"),
        pytest.param(10 * SAMPLED + 7, (10 * SAMPLED + 7 - BLOCK_BYTES) * 8 // 15, id="large, in a block"),
    ],
)
def test_a_changed_byte_changes_the_identity(tmp_path: Path, size_bytes: int, position: int) -> None:
    path = write(tmp_path / "a", size_bytes)
    before = FileIdentity.of(path)
    assert before.size_bytes == size_bytes
    change_byte(path, position)
    assert FileIdentity.of(path) != before
    change_byte(path, position)
    assert FileIdentity.of(path) == before


def test_one_byte_more_changes_the_identity(tmp_path: Path) -> None:
    for size_bytes in (0, 1, SAMPLED, 10 * SAMPLED):
        path = write(tmp_path / "a", size_bytes)
        before = FileIdentity.of(path)
        os.truncate(path, size_bytes + 1)
        assert FileIdentity.of(path) != before


def test_only_blocks_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", 5 * SAMPLED)
    before = FileIdentity.of(path)
    monkeypatch.setattr("asl_kit.store.identity.MAX_BLOCKS", 4)
    assert FileIdentity.of(path) != before
    change_byte(path, 2 * BLOCK_BYTES)  # between two of the four blocks
    assert FileIdentity.of(path) == FileIdentity.of(path)


def test_path_and_time_are_not_compared(tmp_path: Path) -> None:
    path = write(tmp_path / "a", 1000)
    os.utime(path, (5.5, 5.5))
    before = FileIdentity.of(path)
    assert (before.path, before.modified_s) == (str(path), 5.5)
    os.utime(path)
    assert FileIdentity.of(path.rename(tmp_path / "b")) == before


def test_survives_json(tmp_path: Path) -> None:
    identity = FileIdentity.of(write(tmp_path / "ü \udc80", 10))
    store = FeatureStore.open_or_create(tmp_path / "store", make_spec())
    add_video(store, "v", make_features(2), source=identity)
    assert FeatureStore.open(store.path).info("v").source == identity


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: None, id="absent"),
        pytest.param(lambda path: path.mkdir(), id="folder"),
        pytest.param(os.mkfifo, id="pipe"),
    ],
)
def test_what_is_no_file_has_no_identity(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "a")
    with pytest.raises(OSError, match="a"):
        FileIdentity.of(tmp_path / "a")


def test_a_store_compared_with_files(tmp_path: Path) -> None:
    store = FeatureStore.open_or_create(tmp_path / "store", make_spec())
    files = {name: write(tmp_path / name, 100) for name in ("same", "moved", "size", "content", "old", "gone")}
    for name, path in files.items():
        add_video(store, name, make_features(2), source=None if name == "old" else FileIdentity.of(path))
    add_video(store, "missing", make_features(2), source=FileIdentity.of(files["same"]))
    files["moved"] = files["moved"].rename(tmp_path / "elsewhere")
    write(files["size"], 101)
    change_byte(files["content"], 50)
    files["gone"].unlink()
    found = compare_sources(store, files | {"new": tmp_path / "x"})
    other = "the stored features were made from another file"
    assert found.to_json() == {
        "same": ["moved", "same"],
        "changed": {
            "content": f"{files['content']}: {other}, with other content",
            "size": f"{files['size']}: {other}, of 100 bytes, this one has 101",
        },
        "unknown": {
            "gone": "the file cannot be read",
            "old": "the store does not record which file they were made from",
        },
        "missing": ["missing"],
        "not_stored": ["new"],
    }
    assert found.to_text().splitlines()[-5:] == [
        "no file: missing",
        "1 stored videos could not be compared with their files: the file cannot be read",
        "1 stored videos could not be compared with their files: the store does not record which file they were made"
        " from",
        "not in the store: 1 of these files: new",
        "2 of 7 videos were made from these files",
    ]


def test_another_path_is_named(tmp_path: Path) -> None:
    store = FeatureStore.open_or_create(tmp_path / "store", make_spec())
    add_video(store, "v", make_features(2), source=FileIdentity.of(write(tmp_path / "v.avi", 10)))
    check = store.check_source("v", partial(FileIdentity.of, write(tmp_path / "v.mp4", 11)))
    assert check.state == "changed"
    assert f"v.mp4: the stored features were made from another file, {tmp_path / 'v.avi'}, of 10 bytes" in check.reason


def test_damaged_metadata(tmp_path: Path) -> None:
    store = FeatureStore.open_or_create(tmp_path / "store", make_spec())
    add_video(store, "v", make_features(2))
    os.truncate(store.folder("v") / "zarr.json", 90)
    assert (
        store.check_source("v", partial(FileIdentity.of, tmp_path)).reason
        == "they are damaged: `asl-kit store verify` shows how"
    )


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(40):
        write(folder / f"{number}.jpg", 3 * BLOCK_BYTES + number)
    return folder


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        (lambda folder: (folder / "Thumbs.db").touch(), True),
        (lambda folder: (folder / "notes.txt").touch(), True),
        (lambda folder: os.utime(folder / "3.jpg", (1, 1)), True),
        (lambda folder: (folder / "3.jpg").rename(folder / "41.jpg"), False),
        (lambda folder: (folder / "3.jpg").unlink(), False),
        (lambda folder: write(folder / "40.jpg", 10), False),
        (lambda folder: os.truncate(folder / "3.jpg", 10), False),
        (lambda folder: change_byte(folder / "0.jpg", 3 * BLOCK_BYTES // 2), False),
        (lambda folder: change_byte(folder / "9.jpg", 3 * BLOCK_BYTES // 2), False),
    ],
    ids=["hidden", "no image", "time", "renamed", "removed", "added", "shorter", "first, middle", "last, middle"],
)
def test_a_folder_of_images(images: Path, change: Callable[[Path], object], is_same: bool) -> None:
    before = FileIdentity.of(images)
    change(images)
    assert (FileIdentity.of(images) == before) is is_same
    assert before.path == str(images)


def test_a_folder_without_images_has_no_identity(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="a folder without images"):
        FileIdentity.of(tmp_path)
