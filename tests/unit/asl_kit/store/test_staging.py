from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.support import add_video, make_features, make_spec

from asl_kit.store import FeatureStore
from asl_kit.store.staging import STALE_AFTER_S, clear_stale, publish, staging_folder

HOST = socket.gethostname()
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def leave(folder: Path, name: str, *, age_s: float = 0) -> Path:
    left = folder / name
    (left / "video").mkdir(parents=True)
    (left / "video" / "c.0.0").write_bytes(b"half")
    then_s = time.time() - age_s
    os.utime(left, (then_s, then_s))
    return left


@pytest.mark.parametrize(
    ("name", "age_s", "stays"),
    [
        pytest.param(f"{HOST}-{os.getpid()}-{TOKEN}", 0, True, id="alive here"),
        pytest.param(f"{HOST}-DEAD-{TOKEN}", 0, False, id="dead here"),
        pytest.param(
            f"{HOST}-{os.getpid()}-{TOKEN}", STALE_AFTER_S + 60, False, id="alive here, but the number is reused"
        ),
        pytest.param(f"other-host-7-{TOKEN}", STALE_AFTER_S - 60, True, id="another host, young"),
        pytest.param(f"other-host-7-{TOKEN}", STALE_AFTER_S + 60, False, id="another host, old"),
        pytest.param(f"{HOST}-DEAD-{TOKEN}.doomed", 0, False, id="clearing was interrupted"),
        pytest.param("somebody's notes", STALE_AFTER_S + 60, True, id="not ours"),
    ],
)
def test_clears_what_the_dead_left_and_nothing_else(
    tmp_path: Path, dead_pid: int, name: str, age_s: float, stays: bool
) -> None:
    left = leave(tmp_path, name.replace("DEAD", str(dead_pid)), age_s=age_s)
    clear_stale(tmp_path)
    assert list(tmp_path.iterdir()) == [left] * stays
    assert not stays or (left / "video" / "c.0.0").read_bytes() == b"half"


def test_opening_a_store_for_writing_clears_it(tmp_path: Path, dead_pid: int) -> None:
    store = FeatureStore.open_or_create(tmp_path / "s", make_spec())
    add_video(store, "v", make_features(2))
    left = leave(store.path / "tmp", f"{HOST}-{dead_pid}-{TOKEN}")
    FeatureStore.open(store.path)
    assert left.exists()  # a reader changes nothing
    FeatureStore.open_or_create(store.path, make_spec())
    assert not left.exists()
    assert store.video_ids() == ["v"]


def test_another_groups_tmp_is_not_touched(tmp_path: Path, dead_pid: int) -> None:
    left = leave(tmp_path / "tmp", f"{HOST}-{dead_pid}-{TOKEN}")
    (tmp_path / "zarr.json").write_text("{}")
    with pytest.raises(ValueError, match="not a feature store"):
        FeatureStore.open_or_create(tmp_path, make_spec())
    assert left.exists()


def test_a_staging_folder_goes_with_its_block(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staging_folder(tmp_path / "tmp") as folder:  # noqa: PT012
        (folder / "half").write_text("")
        raise KeyboardInterrupt
    assert list((tmp_path / "tmp").iterdir()) == []


def test_publishing_over_a_node_says_no_and_changes_nothing(tmp_path: Path) -> None:
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "zarr.json").write_text(name)
    assert not publish(tmp_path / "mine", tmp_path / "theirs")
    assert (tmp_path / "theirs" / "zarr.json").read_text() == "theirs"
    assert publish(tmp_path / "mine", tmp_path / "free")
    assert (tmp_path / "free" / "zarr.json").read_text() == "mine"
