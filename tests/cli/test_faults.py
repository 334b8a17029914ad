"""Disks that are full or read-only: one message that names the file, nothing half-written, nothing lost."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import run
from helpers.faults import full_disk, read_only
from helpers.support import add_video, make_annotation_set, make_features, make_spec, write_model

from asl_kit.annotations import write_annotations
from asl_kit.base.files import write_text
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections
from asl_kit.errors import OutputError
from asl_kit.store import FeatureStore

BEFORE = "as it was"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that the commands read, and a folder `out` in which each of their files is there already."""
    videos = {"v1": ("test", [(0.0, 2.0, "jump"), (2.5, 3.0, "run")]), "v2": ("test", None)}
    write_annotations(make_annotation_set(videos, ["jump", "run"]), tmp_path / "a.json")
    write_predictions(tmp_path / "p.json", Detections.from_lists([("v1", 0, 2, "jump", 0.9)]))
    (tmp_path / "s.csv").write_text("video,start,end,label,duration\nv1,0,1,jump,4\n")
    np.save(tmp_path / "v1.npy", make_features(9))
    add_video(FeatureStore.open_or_create(tmp_path / "s.zarr", make_spec()), "v1", make_features(9))
    monkeypatch.chdir(tmp_path)
    return tmp_path


SCORED = "--predictions p.json --annotations a.json"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("convert csv s.csv -o out/x.json", "x.json"),
        ("convert csv s.csv -o new.json --json out/x.json", "x.json"),
        ("annotations stats a.json --html out/x.html", "x.html"),
        ("annotations export a.json -o out/x.csv --to csv", "x.csv"),
        (f"eval {SCORED} --json out/x.json", "x.json"),
        (f"eval {SCORED} --csv out/x.csv", "x.csv"),
        (f"eval {SCORED} --out out", "scores.json"),
        (f"report {SCORED} -o out/x.html", "x.html"),
        (f"diagnose {SCORED} --json out/x.json", "x.json"),
        ("store list s.zarr --json out/x.json", "x.json"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_full_disk(arguments: str, name: str) -> None:
    out = Path("out")
    out.mkdir()
    (out / name).write_text(BEFORE)
    with full_disk():
        result = run(arguments)
    assert result.exit_code == 1, result.output
    assert f"error: out/{name}: cannot be written: File too large\n" in result.stderr
    assert "Traceback" not in result.output
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == BEFORE


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("d.json", lambda path: write_predictions(path, Detections.from_lists([("v1", 0, 2, "jump", 0.9)]))),
        ("model.ckpt", lambda path: write_model(path, make_spec())),
    ],
    ids=["predictions", "checkpoint"],
)
@pytest.mark.parametrize("limit_bytes", [0, 10], ids=["at-once", "in-mid-file"])
def test_a_full_disk_where_outputs_are_written(
    limit_bytes: int, name: str, write: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(BEFORE)
    with full_disk(limit_bytes), pytest.raises(OutputError, match=f"{name}: cannot be written: File too large"):
        write(path)
    assert [found.name for found in tmp_path.iterdir()] == [name]
    assert path.read_text() == BEFORE


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_no_space_left_has_a_hint(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)  # where a full disk of a network shows at the latest
    with pytest.raises(OutputError, match=f"x: cannot be written: {os.strerror(number)}") as fault:
        write_text(tmp_path / "x", "x")
    assert str(fault.value.hint).startswith("free some space") == (number != errno.EIO)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_can_only_be_read(folder: Path) -> None:
    arguments = "import-features v1.npy -o new.zarr --window 16 --stride 4 --fps 30 --annotations a.json --dim 4"
    assert run(arguments).exit_code == 0
    np.save("v2.npy", make_features(9))
    with read_only(folder / "new.zarr"):
        for command in ("info", "list", "verify"):
            result = run(f"store {command} new.zarr")
            assert result.exit_code == 0, result.output
        result = run("annotations stats a.json --features new.zarr")
        assert result.exit_code == 0, result.output
        result = run(arguments.replace("v1", "v2"))
    assert result.exit_code == 1
    assert re.search("error: new.zarr.*: Read-only file system|Permission denied", result.stderr)
    assert "Traceback" not in result.output
    assert FeatureStore.open(folder / "new.zarr").video_ids() == ["v1"]


@pytest.mark.parametrize("part", ["tmp", "ledger"])
def test_a_message_about_a_disk_names_no_host(folder: Path, part: str) -> None:
    arguments = "import-features v1.npy -o new.zarr --window 16 --stride 4 --fps 30 --annotations a.json --dim 4"
    assert run(arguments).exit_code == 0
    np.save("v2.npy", make_features(9))
    with read_only(folder / "new.zarr" / part):
        result = run(arguments.replace("v1", "v2"))
    assert result.exit_code == 1
    assert re.search(
        r"^error: new.zarr.*'v2'.*: (Read-only file system|Permission denied)$", result.stderr, re.MULTILINE
    )
    assert socket.gethostname() not in result.stderr


def test_a_folder_that_can_only_be_read(folder: Path) -> None:
    (folder / "out").mkdir()
    with read_only(folder / "out"):
        result = run(f"report {SCORED} -o out/r.html")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: out/r.html: cannot be written: ")
