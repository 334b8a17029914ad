"""Videos at addresses, through `asl-kit extract` and `predict`; and stores at addresses, through `eval`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from helpers.command_line import run
from helpers.extraction import make_extractor
from helpers.servers import WebServer, s3_server
from helpers.support import make_task, write_model, write_video

from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.remote import access
from asl_kit.store import FeatureStore

SETTINGS = ["--backbone", "x3d_xs", "--weights", "random", "--window", "16", "--stride", "4", "--size", "32"]
IDS = ["clip 0", "clip 1", "clip 2"]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "FIRST_WAIT_S", 0.005)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, video_id in enumerate(IDS):
        write_video(folder / f"{video_id}.mp4", frames=24 + 8 * number)
    return folder


@pytest.fixture(scope="module")
def local(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("local") / "store"
    assert run("extract", videos, "-o", store, *SETTINGS, "--device", "cpu").exit_code == 0
    return store


@pytest.fixture
def web(videos: Path) -> Iterator[WebServer]:
    with WebServer(videos) as server:
        yield server


def extract(*arguments: object) -> Result:
    return run("extract", *arguments, *SETTINGS, "--device", "cpu", "--workers", "0")


def size_of(videos: Path, name: str) -> int:
    return (videos / name).stat().st_size


def test_the_same_features(web: WebServer, videos: Path, local: Path, tmp_path: Path) -> None:
    """Whatever breaks; the address is recorded, and nothing secret."""
    half = size_of(videos, "clip 1.mp4") // 2
    addresses = [
        web.url("clip%200.mp4?token=s3cr3t"),
        web.url(f"clip%201.mp4?break_once={half}&token=s3cr3t"),
        web.url("clip%202.mp4?status_once=503"),
    ]
    (tmp_path / "list.txt").write_text("\n".join(addresses[1:]))
    store, cache = tmp_path / "store", tmp_path / "cache"
    words = (addresses[0], "--list", tmp_path / "list.txt", "-o", store, "--cache", cache)
    result = extract(*words)
    assert result.exit_code == 0, result.output
    assert "3 videos are at addresses" in result.stderr
    assert "3 addresses have a login or a query, which are not recorded or printed" in result.stderr
    for video_id in IDS:
        np.testing.assert_array_equal(FeatureStore.open(store).read(video_id), FeatureStore.open(local).read(video_id))
    source = FeatureStore.open(store).info("clip 1").source
    assert source is not None
    assert source.path == web.url("clip%201.mp4")
    assert [path.name for path in cache.iterdir()] == ["asl-kit-cache"]
    found = subprocess.run(["grep", "-r", "s3cr3t", store], capture_output=True, check=False)
    assert found.returncode == 1
    assert "s3cr3t" not in result.output
    # Again: the server is asked, and nothing is fetched.
    web.requests.clear()
    result = extract(*words)
    assert "0 videos extracted, 3 already in the store" in result.stdout
    assert {asked for _, asked in web.requests} == {"bytes=0-0"}
    # And from the local files that the features could have been made of.
    assert "0 videos extracted, 3 already in the store" in extract(videos, "-o", store).stdout
    # The other way round, parts are compared.
    web.requests.clear()
    assert "3 already in the store, 0 failed" in extract(*words[:3], "-o", local).stdout
    assert sum(asked == "" for _, asked in web.requests) == 0
    result = run("store", "verify", local, "--quick", "--against", addresses[0])
    assert "1 of 3 videos were made from these files" in result.stdout


def test_what_cannot_be_fetched_fails_alone_and_is_tried_again(web: WebServer, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (web.folder / "text.mp4").write_text("no video")
    try:
        result = extract(web.url("clip%200.mp4"), web.url("clip%201.mp4?status=403"), web.url("text.mp4"), "-o", store)
        assert result.exit_code == 1
        assert "1 videos extracted, 0 already in the store, 2 failed" in result.stdout
        refused = f"{web.url('clip%201.mp4')}: cannot be fetched: the server says 403 Forbidden"
        assert f"failed: {refused} (it needs a login, or a signed address has expired" in result.stderr
        reasons = FeatureStore.open(store).ledger.failures()
        assert reasons["clip 1"] == refused
        assert reasons["text"].startswith(f"{web.url('text.mp4')}: ")
        web.requests.clear()
        result = extract(web.url("clip%201.mp4"), web.url("text.mp4"), "-o", store)
        assert "1 videos extracted, 0 already in the store, 0 failed" in result.stdout
        assert web.bytes_asked("text.mp4") == ["bytes=0-0"]  # has it been repaired?
        result = extract(web.url("clip%202.mp4?status=500"), "-o", store, "--on-error", "stop")
        assert result.exit_code == 1
        assert "500 Internal Server Error, in 5 attempts" in result.stderr
    finally:
        (web.folder / "text.mp4").unlink()


def test_a_replaced_video(web: WebServer, videos: Path, tmp_path: Path) -> None:
    write_video(videos / "new.mp4", frames=24)
    try:
        store = tmp_path / "store"
        assert extract(web.url("new.mp4"), "-o", store).exit_code == 0
        write_video(videos / "new.mp4", frames=32)
        result = extract(web.url("new.mp4"), "-o", store)
        assert result.exit_code == 1
        assert "the stored features were made from another file" in result.stderr
        assert extract(web.url("new.mp4"), "-o", store, "--replace-changed").exit_code == 0
        assert FeatureStore.open(store).info("new").frames == 32
    finally:
        (videos / "new.mp4").unlink()


@pytest.mark.slow
def test_several_processes(web: WebServer, local: Path, tmp_path: Path) -> None:
    addresses = [web.url(f"{video_id.replace(' ', '%20')}.mp4") for video_id in IDS]
    store, cache = tmp_path / "store", tmp_path / "cache"
    result = run("extract", *addresses, "-o", store, *SETTINGS, "--device", "cpu,cpu", "--cache", cache)
    assert result.exit_code == 0, result.output
    for video_id in IDS:
        np.testing.assert_array_equal(FeatureStore.open(store).read(video_id), FeatureStore.open(local).read(video_id))
    assert [path.name for path in cache.iterdir()] == ["asl-kit-cache"]


def test_a_bucket(videos: Path, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = s3_server(monkeypatch.setenv)
    s3.mkdir("bucket")
    s3.put(str(videos), "bucket/all/", recursive=True)
    s3.pipe("bucket/all/notes.txt", b"no video")
    s3.pipe("bucket/all/.Trash/files/a.mp4", b"no video")
    result = extract("s3://bucket/all/", "-o", tmp_path / "store", "--shard", "1/2")
    assert result.exit_code == 0, result.output
    stored = FeatureStore.open(tmp_path / "store")
    assert stored.video_ids() == ["clip 0", "clip 2"]
    for video_id in stored.video_ids():
        np.testing.assert_array_equal(stored.read(video_id), FeatureStore.open(local).read(video_id))
    result = extract("s3://none/all/", "-o", tmp_path / "store")
    assert result.exit_code == 2
    assert "error: s3://none/all/: there is no such file or bucket" in result.stderr
    result = extract(videos, "-o", "s3://bucket/store")
    assert result.exit_code == 2
    assert "error: s3://bucket/store: a feature store cannot be written to an address" in result.stderr
    result = run("render", tmp_path / "x.json", "s3://bucket/all/", "--edl", tmp_path)
    assert result.exit_code != 0


def test_predict(web: WebServer, videos: Path, tmp_path: Path) -> None:
    """With two feature streams, which read the same copy."""
    settings = {"backbone": "x3d_xs", "weights": "random", "window_frames": 8, "frame_size": 32, "device": "cpu"}
    specs = [make_extractor(**settings, stride_frames=stride).spec for stride in (4, 8)]
    write_model(tmp_path / "model.ckpt", *specs)
    half = size_of(videos, "clip 1.mp4") // 2
    addresses = [web.url("clip%200.mp4"), web.url(f"clip%201.mp4?break_once={half}"), web.url("none.mp4")]
    words = [
        "--checkpoint",
        tmp_path / "model.ckpt",
        "--device",
        "cpu",
        "--workers",
        "0",
        "--cache",
        tmp_path / "cache",
    ]
    result = run("predict", *addresses, *words, "-o", tmp_path / "remote.json", "--report", tmp_path / "report.html")
    assert result.exit_code == 1
    assert f"{addresses[2]}: cannot be fetched: the server says 404 Not Found" in result.stderr
    assert run("predict", videos, *words, "-o", tmp_path / "local.json").exit_code == 0
    remote, local = (json.loads((tmp_path / f"{name}.json").read_text())["results"] for name in ("remote", "local"))
    assert remote == {video_id: local[video_id] for video_id in IDS[:2]}
    assert web.host not in (tmp_path / "report.html").read_text()  # a page loads nothing from elsewhere
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["asl-kit-cache"]
    result = run("predict", addresses[0], *words, "-o", tmp_path / "a.json", "--clips", tmp_path / "clips")
    assert result.exit_code != 0
    assert not (tmp_path / "a.json").exists()


def test_train_and_eval_read_a_store_at_an_address(tmp_path: Path) -> None:
    annotations, store = make_task(tmp_path)
    small = ["model.width=16", "model.attention_heads=2", "optimizer.epochs=1", "run.precision=float32"]
    settings = [word for setting in small for word in ("--set", setting)]
    with WebServer(tmp_path) as web:
        url = web.url(f"{store.name}?key=s3cr3t")
        words = ["--annotations", annotations, "--features", url, "--device", "cpu"]
        result = run("train", *words, "--out", tmp_path / "run", *settings)
        assert result.exit_code == 0, result.output
        checkpoint = tmp_path / "run" / "model.ckpt"
        assert load_checkpoint(checkpoint).extraction == (FeatureStore.open(store).spec,)
        remote = run("eval", *words, "--checkpoint", checkpoint, "--json", "-")
        words[3] = str(store)
        local = run("eval", *words, "--checkpoint", checkpoint, "--json", "-")
        assert remote.stdout == local.stdout
        found = subprocess.run(["grep", "-r", "s3cr3t", tmp_path / "run"], capture_output=True, check=False)
        assert found.returncode == 1
        result = run("train", *words, "--out", "s3://bucket/run")
        assert result.exit_code == 2
        assert "s3://bucket/run: a run cannot be written to an address" in result.stderr
