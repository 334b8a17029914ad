"""Ego4D Moment Queries: the official files, and those that others made of them."""

import json

import pytest

from asl_kit.annotations.converters import ego4d_mq
from asl_kit.annotations.report import ConversionReport
from asl_kit.errors import AnnotationError, MissingFileError
from asl_kit.manifests.files import load_manifest


def run(*sources, manifest="ego4d-mq"):
    report = ConversionReport("ego4d-mq")
    facts = load_manifest(manifest) if manifest else None
    annotations = ego4d_mq.convert(sources, manifest=facts, report=report)
    report.compare(annotations, facts)
    assert not any("read, but" in line for line in report.differences)
    return annotations, report


def label(start, end, name="use_phone", *, primary=True, **more):
    return {"start_time": start, "end_time": end, "label": name, "primary": primary} | more


def clip(clip_id, *annotators, start=10.0, end=70.0, **more):
    annotations = [{"annotator_uid": str(number), "labels": labels} for number, labels in enumerate(annotators)]
    return {"clip_uid": clip_id, "video_start_sec": start, "video_end_sec": end, "annotations": annotations} | more


def write(folder, *clips, split="train", name=None):
    path = folder / (name or f"moments_{split}.json")
    path.write_text(json.dumps({"version": "1", "videos": [{"video_uid": "parent", "split": split, "clips": clips}]}))
    return path


def segments(video):
    return [(item.start, item.end, item.labels["action"], item.attributes) for item in video.segments]


def test_clip_is_a_video_with_its_parent_and_all_annotators(tmp_path):
    path = write(
        tmp_path,
        clip(
            "a",
            [label(1.0, 2)],
            [label(1.0, 2), label(0, 3, "wash_hands")],
            video_start_frame=300,
            video_end_frame=2100,
        ),
    )
    annotations, report = run(path)
    video = annotations.videos["a"]
    assert (video.split, video.duration, video.fps, video.frames) == ("train", 60.0, 30.0, 1800)
    assert video.attributes == {"parent_video": "parent", "parent_start_s": 10.0, "parent_end_s": 70.0}
    assert segments(video) == [
        (0.0, 3.0, "wash_hands", {"annotator": "1"}),
        (1.0, 2.0, "use_phone", {"annotator": "0"}),
        (1.0, 2.0, "use_phone", {"annotator": "1"}),
    ]
    assert report.items == []


def test_only_primary_labels_and_clips_with_one_count(tmp_path):
    path = write(
        tmp_path,
        clip("a", [label(1, 2), label(3, 4, "no class of the 110", primary=False)]),
        clip("b", [label(1, 2, primary=False)], []),
        clip("c"),
    )
    annotations, report = run(path)
    assert list(annotations.videos) == ["a"]
    assert [(item.outcome, item.kind, item.video) for item in report.items] == [
        ("excluded", "segment", "a"),
        ("excluded", "segment", "b"),
        ("excluded", "video", "b"),
        ("excluded", "video", "c"),
    ]
    assert "videos.0.clips.0.annotations.0.labels.1.primary: not a primary label" in report.items[0].reason
    assert (report.videos_read, report.segments_read) == (3, 3)
    assert "split train: 1486 videos expected, 1 found" in report.differences


def test_folder_takes_the_three_official_files_only(tmp_path):
    write(tmp_path, clip("a", [label(1, 2)]))
    write(tmp_path, clip("b", [label(1, 2)]), split="val")
    test_clip = clip("c")
    del test_clip["annotations"]
    write(tmp_path, test_clip, split="test", name="moments_test_unannotated.json")
    (tmp_path / "ego4d.json").write_text("not even JSON")
    annotations, report = run(tmp_path, tmp_path / "moments_val.json")
    assert {name: video.split for name, video in annotations.videos.items()} == {"a": "train", "b": "val", "c": "test"}
    assert annotations.videos["c"].segments is None
    assert report.segments_read == 2
    assert [file.name for file in annotations.source.files] == sorted(ego4d_mq.FILES)


def test_clip_without_annotations_is_not_annotated(tmp_path):
    annotations, _ = run(write(tmp_path, clip("a", annotations=None)), manifest=None)
    assert annotations.videos["a"].segments is None


def test_test_clips_with_empty_lists_are_not_annotated(tmp_path):
    annotations, report = run(write(tmp_path, clip("a", []), split="test"))
    assert annotations.videos["a"].segments is None
    assert report.items == []


MENDED = {
    "beyond the clip": (label(50, 61), "changed", "[50.0, 61.0) clipped to [50.0, 60.0)"),
    "before the clip": (label(-1, 5), "changed", "[-1.0, 5.0) clipped to [0.0, 5.0)"),
    "no length": (label(5, 5), "dropped", "end: must be after the start (5.0), found 5.0"),
    "after the clip": (label(60, 61), "dropped", "end: must be within the video's duration (60.0), found 61.0"),
    "not a number": (label(float("nan"), 61), "dropped", "start: must be a finite number, found nan"),
    "text": (label("1", 2), "dropped", "start: must be a finite number, found '1'"),
    "other class": (label(1, 2, "fly"), "dropped", "label: not in the vocabulary 'action', found 'fly'"),
    "other time in the video": (
        label(1, 2, video_start_time=11.0, video_end_time=12.5),
        "flagged",
        "end_time: 2.0 in the clip, but 12.5 in the video",
    ),
}


@pytest.mark.parametrize(("item", "outcome", "reason"), MENDED.values(), ids=MENDED)
def test_faulty_label_is_reported(tmp_path, item, outcome, reason):
    _, report = run(write(tmp_path, clip("a", [label(1, 2), item])))
    assert [(item.outcome, item.kind, item.video) for item in report.items] == [(outcome, "segment", "a")]
    assert report.items[0].reason.startswith("videos.0.clips.0.annotations.0.labels.1")
    assert reason in report.items[0].reason


@pytest.mark.parametrize("last_frame", [300, 600, 300 + 101 * 60], ids=["none", "too few", "too many"])
def test_frames_that_cannot_be_right_are_flagged_and_not_kept(tmp_path, last_frame):
    path = write(tmp_path, clip("a", [label(1, 2)], video_start_frame=300, video_end_frame=last_frame))
    annotations, report = run(path)
    assert (annotations.videos["a"].fps, annotations.videos["a"].frames) == (None, None)
    assert [(item.outcome, item.kind) for item in report.items] == [("flagged", "video")]
    assert f"{last_frame - 300} frames in 60.00 s" in report.items[0].reason


REFUSED = {
    "list": ("[]", r"expected \{\"videos\""),
    "empty table": ("{}", r"expected \{\"videos\""),
    "number": ("7", r"expected \{\"videos\""),
    "no videos": ('{"videos": []}', "videos: List should have at least 1 item"),
    "videos of text": ('{"videos": "a"}', "videos: Input should be a valid list"),
    "videos without clips": ('{"videos": [{"video_uid": "a", "split": "val", "clips": []}]}', "no video in"),
    "no JSON": ("{", "not a JSON file"),
    "nothing": ("", "not a JSON file"),
    "deep": ("[" * 100_000, "not a JSON file"),
    "key twice": ('{"videos": [], "videos": []}', "the key 'videos' appears twice"),
    "video of text": ('{"videos": ["a"]}', r"videos\.0: "),
    "no split": ('{"videos": [{"video_uid": "a", "clips": []}]}', r"videos\.0\.split: missing"),
    "database of text": ('{"database": "x"}', r"expected \{\"videos\""),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_damaged_file(tmp_path, text, message):
    path = tmp_path / "moments_train.json"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=message) as caught:
        run(path)
    assert "moments_train.json" in caught.value.message


def test_binary_file(tmp_path):
    path = tmp_path / "moments_train.json"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(AnnotationError, match="not a JSON file"):
        run(path)


def test_all_wrong_types_are_named_at_once(tmp_path):
    first = clip("a", [label(1, 2, primary=1), label(1, 2, 7)])
    second = clip("", end="70", annotations=[{"annotator_uid": "1", "labels": {}}])
    with pytest.raises(AnnotationError, match="5 errors") as caught:
        run(write(tmp_path, first, second))
    for place in (
        "videos.0.clips.0.annotations.0.labels.0.primary",
        "videos.0.clips.0.annotations.0.labels.1.label",
        "videos.0.clips.1.clip_uid",
        "videos.0.clips.1.video_end_sec",
        "videos.0.clips.1.annotations.0.labels",
    ):
        assert place in caught.value.message


HUGE = {
    "frames": ({"video_start_frame": 0, "video_end_frame": 10**400}, r"clips\.0\.video_end_frame"),
    "seconds": ({"start": -1e308, "end": 1e308}, r"duration"),
    "infinite": ({"end": float("inf")}, r"clips\.0\.video_end_sec"),
}


@pytest.mark.parametrize(("fields", "message"), HUGE.values(), ids=HUGE)
def test_huge_numbers(tmp_path, fields, message):
    with pytest.raises(AnnotationError, match=message):
        run(write(tmp_path, clip("a", [label(1, 2)], **fields)))


def test_clip_that_ends_before_it_starts(tmp_path):
    with pytest.raises(AnnotationError, match=r"video 'a': videos\.0\.clips\.0\.video_end_sec: must be after"):
        run(write(tmp_path, clip("a", [label(1, 2)], end=10.0)))


def test_one_clip_in_two_splits(tmp_path):
    files = [write(tmp_path, clip("a", [label(1, 2)]), split=split) for split in ("train", "val")]
    with pytest.raises(AnnotationError, match=r"moments_val\.json: video 'a': split: 'val' contradicts 'train'"):
        run(*files)


def test_missing_sources(tmp_path):
    with pytest.raises(AnnotationError, match=r"no file named moments_train\.json, .* in this folder"):
        run(tmp_path)
    with pytest.raises(MissingFileError, match="no such file"):
        run(tmp_path / "moments_train.json")


def asl_entry(**more):
    return {
        "video_id": "parent",
        "clip_id": "a",
        "duration": 60.0,
        "parent_start_sec": 10.0,
        "parent_end_sec": 70.0,
        "fps": 1.875,
        "annotations": [{"segment": [1.0, 2.0], "label": "use_phone", "label_id": 16}],
        "subset": "train",
    } | more


def test_file_of_asls_authors(tmp_path):
    path = tmp_path / "ego4d_clip_annotations.json"
    path.write_text(json.dumps({"a": asl_entry(), "b": asl_entry(subset="test", annotations=[])}))
    annotations, report = run(path)
    video = annotations.videos["a"]
    assert (video.duration, video.fps, segments(video)) == (60.0, None, [(1.0, 2.0, "use_phone", {})])
    assert video.attributes == {"parent_video": "parent", "parent_start_s": 10.0, "parent_end_s": 70.0}
    assert annotations.videos["b"].segments is None
    assert any("label_id of 1 classes" in note for note in report.notes)


def test_damaged_file_of_asls_authors(tmp_path):
    path = tmp_path / "ego4d_clip_annotations.json"
    path.write_text(json.dumps({"a": asl_entry(), "b": asl_entry(annotations=7)}))
    with pytest.raises(AnnotationError, match=r"ego4d_clip_annotations\.json: video 'b': annotations: must be a list"):
        run(path)


def test_actionformers_splits_are_the_official_ones_and_its_times_are_noted(tmp_path):
    entry = {"duration": 60.5, "fps": 30.0, "annotations": [{"segment": [1.5, 2.5], "label": "use_phone"}]}
    path = tmp_path / "ego4d.json"
    path.write_text(
        json.dumps({"database": {"a": entry | {"subset": "training"}, "b": entry | {"subset": "validation"}}})
    )
    annotations, report = run(path)
    assert [annotations.videos[name].split for name in "ab"] == ["train", "val"]
    assert any("half a second before the clip" in note for note in report.notes)


def test_facts_of_the_manifest():
    manifest = load_manifest("ego4d-mq")
    assert (len(manifest.classes), manifest.classes.index("wash_hands"), manifest.classes.index("use_phone")) == (
        110,
        103,
        100,
    )
    assert manifest.classes == sorted(manifest.classes)
    assert (manifest.protocol, manifest.tiou_thresholds) == ("ego4d-mq", (0.1, 0.2, 0.3, 0.4, 0.5))
    assert {name: (count.videos, count.segments) for name, count in manifest.expected.items()} == {
        "train": (1486, 13559),
        "val": (521, 4296),
        "test": (488, 0),
    }
