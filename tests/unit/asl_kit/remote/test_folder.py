"""Feature stores at addresses: read like local ones, and never written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from helpers.servers import WebServer, s3_server
from helpers.support import add_video, make_features, make_spec

from asl_kit.errors import MissingFileError, StoreError, UsageError
from asl_kit.remote import access
from asl_kit.store import FeatureStore, describe

IDS = ["a b%", "long"]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open_or_create(tmp_path / "features.zarr", make_spec())
    add_video(store, IDS[0], make_features(20))
    add_video(store, IDS[1], make_features(2500, seed=1))
    return store


def check_equal(remote: FeatureStore, store: FeatureStore) -> None:
    for video_id in IDS:
        assert video_id in remote
        assert remote.info(video_id) == store.info(video_id)
        np.testing.assert_array_equal(remote.read(video_id), store.read(video_id))
    assert "none" not in remote
    with pytest.raises(StoreError, match="no video 'none' in this store"):
        remote.read("none")


def test_in_a_bucket(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = s3_server(monkeypatch.setenv)
    s3.mkdir("bucket")
    s3.put(str(store.path), "bucket/features.zarr", recursive=True)
    remote = FeatureStore.open("s3://bucket/features.zarr/")
    check_equal(remote, store)
    assert remote.video_ids() == IDS
    assert remote.verify() == []
    assert describe(remote).attempts == {"done": 2}
    s3.rm("bucket/features.zarr/videos/long/c.1.0")
    assert [problem.place for problem in FeatureStore.open("s3://bucket/features.zarr").verify()] == ["videos/long"]
    with pytest.raises(StoreError, match=r"s3://bucket/features.zarr/videos/long: video 'long' cannot be read"):
        remote.read("long")
    for write in (
        lambda: FeatureStore.open_or_create("s3://bucket/new.zarr", make_spec()),
        lambda: add_video(remote, "new", make_features(20)),
        lambda: remote.ledger.record("new", "done"),
    ):
        with pytest.raises(UsageError, match="cannot be written to an address"):
            write()


def test_what_another_tool_has_compressed(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.folder("long")
    array = zarr.open_array(folder, mode="r")
    values, attributes = array[:], dict(array.attrs)
    zarr.create_array(folder, data=values, chunks=(1000, 4), attributes=attributes, overwrite=True)
    s3 = s3_server(monkeypatch.setenv)
    s3.mkdir("bucket")
    s3.put(str(store.path), "bucket/features.zarr", recursive=True)
    check_equal(FeatureStore.open("s3://bucket/features.zarr"), store)


def test_on_a_web_server(store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "FIRST_WAIT_S", 0.005)
    with WebServer(tmp_path) as web:
        url = web.url("features.zarr?status_once=503")
        check_equal(FeatureStore.open(url), store)
        with pytest.raises(StoreError, match=r"features.zarr: cannot be listed: a web server does not list its files"):
            FeatureStore.open(url).video_ids()
        with pytest.raises(MissingFileError, match=r"none.zarr: no such feature store"):
            FeatureStore.open(web.url("none.zarr"))
        lost = FeatureStore.open(web.url("features.zarr"))
    with pytest.raises(StoreError, match="the connection failed"):  # not: it has no such video
        _ = "long" in lost
