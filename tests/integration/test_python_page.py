"""The Python blocks of docs/python.md, run in order as one program, on small data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.extraction import make_extractor
from helpers.support import make_task, write_model, write_video

import asl_kit
from asl_kit.annotations import read_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detection, Detections

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    annotations, _ = make_task(tmp_path)
    for folder in ("run", "videos"):
        (tmp_path / folder).mkdir()
    write_video(tmp_path / "new.mp4")
    write_video(tmp_path / "videos" / "good.mp4")
    (tmp_path / "videos" / "bad.mp4").write_text("no video")
    spec = make_extractor(
        backbone="x3d_xs", weights="random", frame_size=32, window_frames=8, stride_frames=4, device="cpu"
    ).spec
    write_model(tmp_path / "run" / "model.ckpt", spec)
    truth = [
        Detection(video_id, segment.start, segment.end, segment.labels["action"], 0.9)
        for video_id, video in read_annotations(annotations).split("test").items()
        for segment in video.segments or []
    ]
    write_predictions(tmp_path / "detections.json", Detections.from_lists(truth))

    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 5
    exec(compile("\n".join(blocks), "docs/python.md", "exec"), {"__name__": "page"})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "new.mp4: 40 frames, 4.0 s"
    assert re.fullmatch(r" +\d+\.\d\d +\d+\.\d\d 0\.\d{3} (jump|run)", lines[1])
    assert any(re.match(r"videos/bad\.mp4: .*not a video that can be read", line) for line in lines)
    assert any(re.fullmatch(r"good: [1-9]\d* detections", line) for line in lines)
    assert lines[-1].startswith("1.0 {0.3: 1.0")


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
