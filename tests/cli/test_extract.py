"""``asl-kit extract`` from the command line: results, exit codes, one-line errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from helpers.command_line import run
from helpers.processes import (
    HEARS_CTRL_C,
    Process,
    assert_same_store,
    descendants_of,
    is_running,
    shared_memory,
    start_asl_kit,
    wait_until,
    workers_of,
)
from helpers.support import write_video

from asl_kit.store import FeatureStore

SETTINGS = ["--backbone", "x3d_xs", "--weights", "random", "--window", "16", "--stride", "4", "--size", "32"]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "good one.mp4", frames=24)


def extract(*arguments: object) -> Result:
    return run("extract", *arguments)


def errors(result: Result) -> list[str]:
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return [line for line in result.stderr.splitlines() if line.startswith(("error:", "hint:"))]


def test_summary(video: Path, tmp_path: Path) -> None:
    result = extract(video, "-o", tmp_path / "store", *SETTINGS, "--device", "cpu", "--json", tmp_path / "out.json")
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == f"{tmp_path / 'store'}: 1 videos extracted, 0 already in the store, 0 failed"
    assert second.startswith("3 features from 24 decoded frames in ")
    summary = json.loads((tmp_path / "out.json").read_text())
    assert summary["done"] == ["good one"]
    assert summary["frames_decoded"] / summary["frames_in_files"] == 1.0


def test_json_on_stdout(video: Path, tmp_path: Path) -> None:
    result = extract(video, "-o", tmp_path / "store", *SETTINGS, "--json", "-")
    assert json.loads(result.stdout)["features"] == 3


NOISE = """
import os, subprocess, sys, threading, time

def print_during_the_run():
    while "asl_extract.extraction" not in sys.modules:
        time.sleep(0.01)
    print("printed by Python", flush=True)
    os.write(1, b"written to the descriptor\\n")
    subprocess.run([sys.executable, "-S", "-c", "print('printed by a child')"])

threading.Thread(target=print_during_the_run, daemon=True).start()
"""


def test_json_on_stdout_and_nothing_else(video: Path, tmp_path: Path) -> None:
    """As Ray does when it loses a worker, and packages when they are imported."""
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    options = [*SETTINGS, "--device", "cpu", "--json", "-"]
    process = start_asl_kit("extract", video, "-o", tmp_path / "s", *options, env=os.environ | {"PYTHONPATH": path})
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["features"] == 3
    for line in ("printed by Python", "written to the descriptor", "printed by a child"):
        assert line in stderr.splitlines()


def test_failed_videos_are_told_by_the_exit_code(video: Path, tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", frames=60, movflags="faststart").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) * 7 // 10])
    text = tmp_path / "text.mp4"
    text.write_text("hello")
    result = extract(video, cut, text, "-o", tmp_path / "store", *SETTINGS)
    assert result.exit_code == 1
    assert errors(result) == []
    failed = [line for line in result.stdout.splitlines() if line.startswith("failed:")]
    assert len(failed) == 2
    assert "frames found, 60 expected: the file is truncated or damaged" in failed[0]
    assert failed[1] == f"failed: text: {text}: not a video that can be read: Invalid data found when processing input"


def test_on_error_stop(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("hello")
    result = extract(text, "-o", tmp_path / "store", *SETTINGS, "--on-error", "stop")
    assert result.exit_code == 1
    assert errors(result) == [f"error: {text}: not a video that can be read: Invalid data found when processing input"]


def test_store_made_otherwise(video: Path, tmp_path: Path) -> None:
    extract(video, "-o", tmp_path / "store", *SETTINGS)
    result = extract(video, "-o", tmp_path / "store", *SETTINGS[:-1], "64")
    assert result.exit_code == 2
    assert errors(result)[0].startswith(f"error: {tmp_path / 'store'}: its features were made in another way")
    assert "frame_size: 32 against 64" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        pytest.param(
            ["--backbone", "x4d"], "error: unknown backbone 'x4d'", "hint: Backbones: convnext_base, ", id="backbone"
        ),
        pytest.param(["--device", "npu"], "error: unknown device 'npu'", "hint: devices: auto, cpu, cuda", id="device"),
        pytest.param(["--shard", "0/2"], "error: shard '0/2' is not I/N", "hint: --shard 1/4", id="shard"),
        pytest.param(["--weights", "no.pt"], "error: no.pt: no such weights file", "hint: --weights", id="weights"),
        pytest.param(["--annotations", "no.json"], "error: no.json: no such file", None, id="annotations"),
        pytest.param(["nowhere"], "error: nowhere: no such file or folder", None, id="folder"),
    ],
)
def test_wrong_input(arguments: list[str], message: str, hint: str | None, video: Path, tmp_path: Path) -> None:
    result = extract(video, "-o", tmp_path / "store", *SETTINGS, *arguments)
    assert result.exit_code == 2
    lines = errors(result)
    assert lines[0].startswith(message)
    if hint is not None:
        assert lines[1].startswith(hint)
    assert not (tmp_path / "store").exists()


def test_folder_without_videos(tmp_path: Path) -> None:
    result = extract(tmp_path, "-o", tmp_path / "store", *SETTINGS)
    assert result.exit_code == 2
    assert errors(result)[0] == f"error: no videos found in {tmp_path}"


def test_help() -> None:
    result = extract("--help")
    assert result.exit_code == 0
    for option in ("--backbone", "--weights", "--window", "--stride", "--fps", "--shard", "--on-error", "--decoder"):
        assert option in result.output


def start(*arguments: object, **options: Any) -> Process:
    options = {"stdout": subprocess.DEVNULL, "env": None} | options
    return start_asl_kit("extract", *SETTINGS, "--device", "cpu", *arguments, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos of a second or more of work each."""
    folder = tmp_path_factory.mktemp("six")
    for number in range(6):
        write_video(folder / f"v{number}.mp4", frames=300 + number)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "processes"),
    [
        pytest.param(["--workers", 0], 0, id="this process"),
        pytest.param(["--workers", 2], 2, id="decoders"),
        pytest.param(["--device", "cpu,cpu"], 2, id="devices"),
    ],
)
def test_interrupt(options: list[Any], processes: int, folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with start(folder, "-o", store, *options, start_new_session=True, **HEARS_CTRL_C) as process:
        wait_until((store / "videos" / "v0").exists, process=process)
        assert len(workers_of(process.pid)) == processes
        children = descendants_of(process.pid)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: to every process on the terminal
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.splitlines()[-1].startswith("stopped; run the same command again to continue")
    assert "Traceback" not in stderr
    wait_until(lambda: not (any(map(is_running, children)) or shared_memory(process.pid)), timeout_s=10)
    assert FeatureStore.open(store).verify() == []
    assert list((store / "tmp").iterdir()) == []
    done = FeatureStore.open(store).video_ids()
    assert 0 < len(done) < 6

    result = extract(folder, "-o", store, *SETTINGS, "--device", "cpu", "--json", "-")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["skipped"] == done


@pytest.mark.slow
def test_full_disk(folder: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk; it would hold for shared memory too, so no workers."""
    resource = pytest.importorskip("resource")
    limit = (200_000, 200_000)
    arguments = (folder, "-o", tmp_path / "store", "--workers", 0)
    with start(*arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)) as process:
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    (message,) = [line for line in stderr.splitlines() if line.startswith("error:")]
    assert message == f"error: {tmp_path / 'store'}: video 'v0' cannot be written: File too large"
    assert "Traceback" not in stderr
    store = FeatureStore.open(tmp_path / "store")
    assert store.verify() == []
    assert list((store.path / "tmp").iterdir()) == []


@pytest.mark.slow
def test_a_killed_worker_costs_one_video(folder: Path, tmp_path: Path) -> None:
    for attempt in range(5):
        store = tmp_path / f"store {attempt}"
        with start(folder, "-o", store) as process:  # in a worker, as nothing is said
            wait_until((store / "videos" / "v0").exists, process=process)
            (worker,) = workers_of(process.pid)
            os.kill(worker, signal.SIGKILL)
            _, stderr = process.communicate(timeout=120)
        if process.returncode:
            break
        # The worker had nothing to do: it was ahead of the backbone by all videos, and none is lost.
        assert len(FeatureStore.open(store).video_ids()) == 6
    assert process.returncode == 1
    assert "the decoder crashed, signal 9 (SIGKILL)" in stderr
    assert len(FeatureStore.open(store).video_ids()) == 5
    result = extract(folder, "-o", store, *SETTINGS, "--device", "cpu")
    assert result.exit_code == 1
    assert "1 failed before and were not tried again; --retry-failed tries them" in result.stdout
    result = extract(folder, "-o", store, *SETTINGS, "--device", "cpu", "--retry-failed")
    assert result.exit_code == 0
    assert len(FeatureStore.open(store).video_ids()) == 6


@pytest.mark.slow
def test_killed_and_run_again(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(6):
        write_video(folder / f"v{number}.mp4", frames=60 + number)
    assert extract(folder, "-o", tmp_path / "whole", *SETTINGS, "--device", "cpu").exit_code == 0

    store = tmp_path / "store"
    with start(folder, "-o", store) as process:
        wait_until((store / "videos" / "v1").exists, process=process)
        process.kill()
        process.communicate(timeout=30)
    before = FeatureStore.open(store).video_ids()
    assert "v1" in before
    assert len(before) < 6

    result = extract(folder, "-o", store, *SETTINGS, "--device", "cpu", "--json", "-")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["skipped"] == before
    assert_same_store(store, tmp_path / "whole")


def test_a_changed_file(video: Path, tmp_path: Path) -> None:
    file, store = tmp_path / "v.mp4", tmp_path / "store"
    file.write_bytes(video.read_bytes())
    arguments = (file, "-o", store, *SETTINGS, "--device", "cpu", "--workers", 0, "--json", tmp_path / "out.json")
    assert extract(*arguments).exit_code == 0
    write_video(file, frames=30)
    result = extract(*arguments)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == f"{store}: 0 videos extracted, 0 already in the store, 1 failed"
    assert json.loads((tmp_path / "out.json").read_text())["changed"] == ["v"]
    result = extract(*arguments, "--replace-changed")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (
        0,
        f"{store}: 1 videos extracted, 0 already in the store, 0 failed",
    )
    assert extract(*arguments).exit_code == 0
