"""The Python blocks of docs/python.md, run in order as one program, on small data."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from helpers.readme import write_own_videos
from helpers.support import make_features

import asl_kit
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


SMALL = {
    'backbone="r2plus1d_18"': 'backbone="x3d_xs", weights="random", frame_size=32, window_frames=8',
    "optimizer.epochs=40": "optimizer.epochs=2",
}
"""Tests have no network, and little time."""


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_own_videos(tmp_path)
    (tmp_path / "excel.csv").write_bytes("Datei;Beginn;Ende;Verhalten\r\nclip0;0,5;2;läuft\r\n".encode("cp1252"))
    (tmp_path / "videos" / "bad.mp4").write_text("no video")
    (tmp_path / "i3d").mkdir()
    for video_id, length in (("clip0", 40), ("clip1", 44)):
        np.save(tmp_path / "i3d" / f"{video_id}.npy", make_features(length, dimension=6))
    truth = [("clip2", 0.5, 2.5, "run", 0.9), ("clip2", 3.0, 5.5, "jump", 0.9)]
    write_predictions(tmp_path / "predictions.json", Detections.from_lists(truth))

    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL))
    for published, small in SMALL.items():
        assert code.count(published) == 1
        code = code.replace(published, small)
    exec(compile(code, "docs/python.md", "exec"), {"__name__": "page"})

    printed = capsys.readouterr().out
    for pattern in (
        r"\{'test': 2, 'train': 4\}",
        r"\['excel\.csv: read as cp1252', \"excel\.csv: column 'Verhalten' as 'label', .*",
        r"4 videos, 28 features; failed: \{'bad': 'videos/bad\.mp4: not a video that can be read.*\}",
        r"run/model\.ckpt",
        r"average mAP \d\.\d{3} on split test",
        r"\['clip0', 'clip1'\] \{\}",
        r"\['detections\.json', 'new\.actions\.srt'\] \[\]",
        r"new\.mp4: 60 frames, 6\.0 s",
        r" +\d+\.\d\d +\d+\.\d\d 0\.\d{3} (jump|run)",
        r"videos/bad\.mp4: .*not a video that can be read.*",
        r"clip0: [1-9]\d* detections",
        r"\(7, 2048\) \[0\.4 1\.2 2\. *\]",
        r"clip2 3\.0 5\.5 \{'action': 'jump'\}",
        r"1\.0 \{0\.3: 1\.0, .*",
    ):
        assert re.search(f"^{pattern}$", printed, flags=re.MULTILINE), (pattern, printed)


def test_the_page_lists_what_there_is() -> None:
    assert set(re.findall(r"^\| `asl_kit\.(\w+)", PAGE, flags=re.MULTILINE)) == set(asl_kit.__all__)
    assert {*asl_kit.__all__, "__version__"} <= set(dir(asl_kit))
    for name in asl_kit.__all__:
        assert getattr(asl_kit, name).__doc__


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'asl_kit' has no attribute 'detekt'"):
        asl_kit.detekt  # noqa: B018


def test_type_checkers_see_the_same_names() -> None:
    """What is imported for type checkers alone is what is offered, from where it is taken when it runs."""
    source = Path(asl_kit.__file__).read_text(encoding="utf-8")
    imported = re.findall(r"^    from (\S+) import (\w+(?:, \w+)*)$", source, flags=re.MULTILINE)
    assert {
        name: module for module, names in imported for name in names.split(", ") if name != "import_module"
    } == asl_kit._PLACES
    assert list(asl_kit._PLACES) == asl_kit.__all__
