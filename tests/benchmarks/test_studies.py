"""The study files can be read, and the sets that they are about are cut as they say."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from asl_kit.errors import MissingFileError
from asl_kit.study.settings import read_study

BENCHMARKS = Path(__file__).parent


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("study_sets")


@pytest.mark.parametrize(
    ("name", "runs"),
    [("parts", 120), ("forms", 144), ("localization_target", 120), ("time_scale", 36), ("encoders", 36), ("start", 2)],
)
def test_study_files(name: str, runs: int) -> None:
    assert len(read_study(BENCHMARKS / "studies" / f"{name}.toml").runs) == runs


def test_starting_weights_start_from_the_other_study() -> None:
    path = BENCHMARKS / "studies" / "starting_weights.toml"
    checkpoint = BENCHMARKS.parents[1] / "build" / "start" / "50salads" / "start" / "seed-0" / "model.ckpt"
    if checkpoint.exists():
        assert len(read_study(path).runs) == 12
        return
    with pytest.raises(MissingFileError) as fault:
        read_study(path)
    assert Path(fault.value.message.split(": ")[2]).resolve() == checkpoint


def document() -> dict[str, Any]:
    videos = {
        f"exp{user}_user{user:02}": {"split": "train" if user < 8 else "test", "segments": [
            {"start": 0.0, "end": 1.0, "labels": {"action": name}} for name in "abc"
        ]}
        for user in range(10)
    }  # fmt: skip
    return {"vocabularies": {"action": ["a", "b", "c"]}, "videos": videos}


def test_half_of_the_classes(sets: ModuleType) -> None:
    for part, kept in (("start.json", ["a", "c"]), ("target.json", ["b"])):
        found = document()
        sets.PARTS["50salads"][part](found)
        assert found["vocabularies"]["action"] == kept
        assert len(found["videos"]) == 10
        segments = [row["labels"]["action"] for video in found["videos"].values() for row in video["segments"]]
        assert segments == kept * 10


def test_a_quarter_of_the_users(sets: ModuleType) -> None:
    users = {}
    for part in ("start.json", "target.json"):
        found = document()
        sets.PARTS["sbhar"][part](found)
        users[part] = {video_id[-2:] for video_id, video in found["videos"].items() if video["split"] == "train"}
        assert sum(video["split"] == "test" for video in found["videos"].values()) == 2
    assert users == {"start.json": {"00", "04"}, "target.json": {"01", "02", "03", "05", "06", "07"}}


def test_other_test_videos(sets: ModuleType) -> None:
    found = document()
    sets.split_anew("exp3_")(found)
    assert [video_id for video_id, video in found["videos"].items() if video["split"] == "test"] == ["exp3_user03"]
