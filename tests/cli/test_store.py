from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from helpers import command_line
from helpers.support import add_video, make_features, make_spec

from asl_kit.store import FeatureStore, FileIdentity


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore.open_or_create(tmp_path / "store", make_spec())
    add_video(store, "short", make_features(3))
    add_video(store, "a long/name", make_features(1500), duration_s=3600)
    store.ledger.record("broken.mp4", "failed", "no video stream")
    store.ledger.record("short", "failed", "was mended since")
    return store


def run(*arguments: object) -> Result:
    return command_line.run("store", *arguments)


def test_info_tells_spec_amount_and_failures(store: FeatureStore) -> None:
    result = run("info", store.path)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "backbone x3d_xs" in lines
    assert "fps each video's own" in lines
    assert "dtype float16" in lines
    assert lines[-5] == (
        f"to make it again: asl-kit extract VIDEOS -o {store.path} --backbone x3d_xs --weights random"
        " --window 16 --stride 4 --precision float32 --dtype float16"
    )
    assert lines[-4].startswith("2 videos, 1.00 hours, 1503 features, ")
    assert lines[-3:] == [
        "ledger: 2 done, 2 failed",
        "failed, and not in the store: 1",
        "broken.mp4: no video stream",
    ]


def test_info_as_json(store: FeatureStore) -> None:
    result = run("info", store.path, "--json", "-")
    report = json.loads(result.stdout)
    size_bytes = sum(path.stat().st_size for path in (store.path / "videos").glob("*/*"))
    assert report == {
        "path": str(store.path),
        "format": "asl-kit/feature-store",
        "version": 1,
        "dtype": "float16",
        "spec": make_spec().model_dump(mode="json"),
        "command": f"asl-kit extract VIDEOS -o {store.path} --backbone x3d_xs --weights random"
        " --window 16 --stride 4 --precision float32 --dtype float16",
        "videos": 2,
        "features": 1503,
        "hours": pytest.approx(1 + 0.4 / 3600),
        "size_bytes": size_bytes,
        "attempts": {"done": 2, "failed": 2},
        "failed": {"broken.mp4": "no video stream"},
    }
    assert size_bytes >= 1503 * 4 * 2


def test_list_prints_a_table(store: FeatureStore) -> None:
    result = run("list", store.path)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "id              T  D  duration (s)     fps  step (s)",
        "a long/name  1500  4       3600.00  30.000    0.1333",
        "short           3  4          0.40  30.000    0.1333",
    ]


def test_list_writes_json(store: FeatureStore, tmp_path: Path) -> None:
    result = run("list", store.path, "--json", tmp_path / "out" / "list.json")
    assert result.stdout.startswith("id ")
    rows = json.loads((tmp_path / "out" / "list.json").read_text())
    assert [(row["video_id"], row["shape"], row["frames"]) for row in rows] == [
        ("a long/name", [1500, 4], 6000),
        ("short", [3, 4], 12),
    ]


def test_an_empty_store(tmp_path: Path) -> None:
    FeatureStore.open_or_create(tmp_path / "s", make_spec())
    assert "0 videos, 0.00 hours" in run("info", tmp_path / "s").stdout
    assert run("list", tmp_path / "s").stdout.splitlines() == ["id  T  D  duration (s)  fps  step (s)"]
    assert run("verify", tmp_path / "s").exit_code == 0


def test_verify_of_a_whole_store(store: FeatureStore) -> None:
    result = run("verify", store.path)
    assert (result.exit_code, result.stdout) == (0, f"{store.path}: 2 videos, all intact\n")


@pytest.mark.parametrize(("options", "exit_code"), [([], 1), (["--quick"], 0)])
def test_verify_of_a_damaged_store(store: FeatureStore, options: list[str], exit_code: int) -> None:
    path = store.folder("short") / "c.0.0"
    path.write_bytes(bytes(len(path.read_bytes())))
    result = run("verify", store.path, *options)
    assert result.exit_code == exit_code
    assert ("videos/short: damaged: CRC-32C of the data is" in result.stdout) == bool(exit_code)
    assert (": 1 problems" in result.stderr) == bool(exit_code)
    assert ("hint: delete" in result.stderr) == bool(exit_code)
    found = json.loads(run("verify", store.path, *options, "--json", "-").stdout)
    assert [problem["place"] for problem in found["problems"]] == ["videos/short"] * exit_code


@pytest.mark.parametrize("options", [[], ["--quick"]])
def test_verify_of_a_store_that_lost_a_video(store: FeatureStore, options: list[str]) -> None:
    shutil.rmtree(store.folder("a long/name"))
    result = run("verify", store.path, *options)
    assert result.exit_code == 1
    assert result.stdout.startswith("videos/a%20long%2Fname: missing: the ledger records video 'a long/name' as done")
    assert f"{store.path}: 1 problems" in result.stderr
    found = json.loads(run("verify", store.path, *options, "--json", "-").stdout)
    assert [problem["place"] for problem in found["problems"]] == ["videos/a%20long%2Fname"]


@pytest.mark.parametrize(
    ("content", "exit_code", "line"),
    [
        pytest.param(b"content", 0, "1 of 3 videos were made from these files", id="same"),
        pytest.param(b"changed", 1, "made from another file, with other content", id="changed"),
        pytest.param(None, 0, "no file: v", id="missing"),
    ],
)
def test_verify_against_videos(
    store: FeatureStore, tmp_path: Path, content: bytes | None, exit_code: int, line: str
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    file = folder / "v.mp4"
    file.write_bytes(b"content")
    (folder / "short.mp4").write_bytes(b"of unknown identity")
    (folder / "new.mp4").write_bytes(b"not extracted")
    add_video(store, "v", make_features(2), source=FileIdentity.of(file))
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    result = run("verify", store.path, "--against", folder)
    assert result.exit_code == exit_code
    assert line in result.stdout
    assert "no file: a long/name" in result.stdout
    assert "1 stored videos could not be compared with their files: the store does not record" in result.stdout
    assert "not in the store: 1 of these files: new" in result.stdout
    assert (f"error: {store.path}: 1 videos were made from other files" in result.stderr) == bool(exit_code)
    assert ("hint: add --replace-changed" in result.stderr) == bool(exit_code)
    found = json.loads(run("verify", store.path, "--quick", "--against", folder, "--json", "-").stdout)
    assert found["problems"] == []
    assert list(found["sources"]) == ["same", "changed", "unknown", "missing", "not_stored"]
    assert list(found["sources"]["changed"]) == ["v"] * exit_code


def test_verify_of_imported_features_against_videos(tmp_path: Path) -> None:
    spec = make_spec(backbone="imported")
    assert spec.is_imported
    FeatureStore.open_or_create(tmp_path / "s", spec)
    result = run("verify", tmp_path / "s", "--against", tmp_path)
    assert result.exit_code == 2
    assert "were imported, not made from videos" in result.stderr
    assert "hint: run `asl-kit import-features` again" in result.stderr


@pytest.mark.parametrize("command", ["info", "list", "verify"])
def test_errors_are_one_message_with_a_hint(tmp_path: Path, command: str) -> None:
    result = run(command, tmp_path / "none")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"error: {tmp_path / 'none'}: no such feature store",
        "hint: `asl-kit extract` makes one",
    ]
    (tmp_path / "zarr.json").write_text("{}")
    result = run(command, tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {tmp_path}: not a feature store: its zarr.json has no attribute")
    assert "Traceback" not in result.stderr


def test_json_that_cannot_be_written(store: FeatureStore, tmp_path: Path) -> None:
    result = run("list", store.path, "--json", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {tmp_path}: cannot be written")


@pytest.mark.parametrize("command", [[], ["info"], ["list"], ["verify"]])
def test_help_is_light(command: list[str]) -> None:
    code = f"""
import sys
from asl_kit.cli import main
try:
    main(["store", *{command!r}, "--help"])
except SystemExit as exit:
    assert exit.code == 0
assert not {{"torch", "zarr", "decord", "numpy"}} & set(sys.modules)
"""
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.startswith("Usage: ")
