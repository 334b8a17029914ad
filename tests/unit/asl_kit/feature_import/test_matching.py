from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.support import make_annotation_set

from asl_kit.annotations.schema import Video
from asl_kit.errors import FeatureError
from asl_kit.feature_import.matching import Matching, Target, match
from asl_kit.feature_import.readers import Source


def videos(*ids: str, **clips: tuple[str, float, float]) -> dict[str, Video]:
    found = make_annotation_set({name: ("train", []) for name in (*ids, *clips)}, ["a"]).videos
    for name, (parent, start_s, end_s) in clips.items():
        attributes: dict[str, Any] = {"parent_video": parent, "parent_start_s": start_s, "parent_end_s": end_s}
        found[name] = found[name].model_copy(update={"attributes": attributes})
    return found


def source(name: str, folder: str = ".") -> Source:
    return Source(name, Path(folder) / f"{name}.npy")


def ids(matching: Matching) -> dict[str, list[str]]:
    return {entry.name: [target.video_id for target in found] for entry, found in matching.targets.items()}


@pytest.mark.parametrize(
    ("name", "video_id", "rule"),
    [
        pytest.param("a", "a", "name", id="the id"),
        pytest.param("pre-a-post", "a", "name without prefix and suffix", id="around it"),
        pytest.param("v_a", "a", "name without v_", id="v_ in the file name"),
        pytest.param("a", "v_a", "name after v_", id="v_ in the id"),
        pytest.param("pre-a-post", "v_a", "name after v_", id="around it, v_ in the id"),
        pytest.param("pre-v_a-post", "a", "name without v_", id="around it, and v_"),
        pytest.param("pre-a-post", "pre-a-post", "name", id="the id comes first"),
    ],
)
def test_rules(name: str, video_id: str, rule: str) -> None:
    matching = match([source(name)], videos(video_id, "other"), prefix="pre-", suffix="-post")
    assert ids(matching) == {name: [video_id]}
    assert matching.rules == {rule: 1}
    assert matching.without == ["other"]


@pytest.mark.parametrize("name", ["A", "a ", "aa", "pre-a", "a-post", "pre--post", "", "v_v_a"])
def test_nothing_else_matches(name: str) -> None:
    matching = match([source(name)], videos("a"), prefix="pre-", suffix="-post")
    assert (ids(matching), matching.unmatched, matching.without) == ({}, [source(name)], ["a"])


def test_clips_of_a_parent_video() -> None:
    annotated = videos(clip1=("parent", 0.0, 5.0), clip2=("parent", 5, 9.5), clip3=("another", 0.0, 1.0))
    matching = match([source("parent")], annotated)
    assert matching.targets == {source("parent"): [Target("clip1", 0.0, 5.0), Target("clip2", 5.0, 9.5)]}
    assert matching.rules == {"part of the parent video": 2}
    assert matching.without == ["clip3"]


def test_without_annotations_every_file_is_a_video() -> None:
    matching = match([source("a"), source("b-post")], None, suffix="-post")
    assert ids(matching) == {"a": ["a"], "b-post": ["b"]}
    assert matching.without == []


@pytest.mark.parametrize(
    ("sources", "annotated"),
    [
        pytest.param([source("a", "x"), source("a", "y")], videos("a"), id="two folders"),
        pytest.param([source("a", "x"), source("v_a", "y")], videos("a"), id="two names"),
        pytest.param([source("a", "x"), source("a", "y")], None, id="without annotations"),
        pytest.param([source("a", "x"), source("p", "y")], videos(a=("p", 0.0, 1.0)), id="clip and parent"),
    ],
)
def test_two_files_of_one_video(sources: list[Source], annotated: dict[str, Video] | None) -> None:
    with pytest.raises(FeatureError, match=r"1 videos have several files\n  a: x/a\.npy and y/\w+\.npy"):
        match(sources, annotated)
