"""Verb and noun learned together, from annotations and a store to scores and files; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.command_line import run
from helpers.support import FPS, add_video, make_spec
from helpers.training_runs import assert_same_run, command, curve, words

from asl_kit.annotations import AnnotationSet, read_annotations, write_annotations
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.dataset.feature_reader import FeatureReader
from asl_kit.dataset.split import load_split
from asl_kit.detections.json_format import read_predictions
from asl_kit.errors import AnnotationError
from asl_kit.grid import FeatureGrid
from asl_kit.manifests.files import load_manifest
from asl_kit.metrics import temporal_iou
from asl_kit.model.assignment import UNLABELLED
from asl_kit.store import FeatureStore

VERBS, NOUNS = ["take", "wash"], ["cup", "pan", "tap"]
BOTH = ["--set", 'data.vocabulary=["verb", "noun"]']
BRIEF = words("optimizer.epochs=2")


def make_kitchen(folder: Path, *, videos: int = 12) -> tuple[Path, Path]:
    """Write annotations and a store in which value v of the features tells the verb, and value 2 + n the noun.

    Every fifth segment has no noun, and its features none either.
    """
    random = np.random.default_rng(0)
    store = FeatureStore.open_or_create(folder / "features.zarr", make_spec(feature_dim=5), dtype="float32")
    documents: dict[str, Any] = {}
    count = 0
    for number in range(videos):
        length = int(random.integers(60, 100))
        features = random.standard_normal((length, 5)).astype(np.float32)
        grid = FeatureGrid.from_windows(fps=FPS, window_frames=16, stride_frames=4, length=length)
        segments = []
        for first in range(8, length - 24, 24):
            verb, noun = int(random.integers(2)), int(random.integers(3))
            start, stop = first + int(random.integers(4)), first + int(random.integers(10, 18))
            features[start:stop, verb] += 3
            labels = {"verb": VERBS[verb]}
            count += 1
            if count % 5:
                features[start:stop, 2 + noun] += 3
                labels["noun"] = NOUNS[noun]
            times = [float(round(grid.to_seconds(place - 0.5), 4)) for place in (start, stop)]
            segments.append({"start": times[0], "end": times[1], "labels": labels})
        split = "train" if number < videos - 4 else "validation" if number < videos - 2 else "test"
        documents[f"video {number}"] = {"split": split, "duration": 100.0, "segments": segments}
        add_video(store, f"video {number}", features)
    document = {
        "dataset": "own",
        "source": {"converter": "csv", "asl_kit": "0"},
        "vocabularies": {"verb": VERBS, "noun": NOUNS},
        "videos": documents,
    }
    write_annotations(AnnotationSet.model_validate(document), folder / "annotations.json")
    return folder / "annotations.json", folder / "features.zarr"


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_kitchen(tmp_path_factory.mktemp("kitchen"))


@pytest.fixture(scope="module")
def trained(kitchen: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "both"
    settings = words("optimizer.epochs=15", "optimizer.learning_rate=1e-2", "run.validate_every=15")
    result = run(*command(kitchen, out, *BOTH, *settings))
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def of_nouns(kitchen: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "nouns"
    assert run(*command(kitchen, out, "--set", "data.vocabulary=noun", *BRIEF)).exit_code == 0
    return out


def evaluate(kitchen: tuple[Path, Path], model: Path, *more: str) -> Any:
    words = ["--checkpoint", str(model), "--annotations", str(kitchen[0]), "--features", str(kitchen[1])]
    return run("eval", *words, "--device", "cpu", *more)


def test_both_are_learned_and_scored(kitchen: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    result = evaluate(kitchen, trained / "model.ckpt", "--out", str(tmp_path), "--json", str(tmp_path / "s.json"))
    assert result.exit_code == 0, result.output
    assert "vocabulary verb" in result.output
    assert "vocabulary noun" in result.output
    scores = json.loads((tmp_path / "s.json").read_text())
    assert list(scores["parts"]) == ["verb", "noun"]
    for part in scores["parts"].values():
        assert part["average_mAP"] > 0.4, "an untrained model reaches 0.01"
    assert {path.name for path in tmp_path.glob("detections*")} == {
        "detections-verb.json", "detections-noun.json", "detections-verb-noun.json",
    }  # fmt: skip
    assert read_predictions(tmp_path / "detections-noun.json").class_names == tuple(NOUNS)
    combined = read_predictions(tmp_path / "detections-verb-noun.json")
    assert set(combined.class_names) <= {f"{verb},{noun}" for verb in VERBS for noun in NOUNS}
    document = json.loads(kitchen[0].read_text())
    for video_id in combined.video_ids:
        for segment in document["videos"][video_id]["segments"]:
            if "noun" in segment["labels"]:
                label = f"{segment['labels']['verb']},{segment['labels']['noun']}"
                best = next(row for row in combined.rows(video_id) if row.label == label)
                assert temporal_iou(best.start_s, best.end_s, segment["start"], segment["end"]) > 0.5


def test_one_of_them_is_scored_alone(kitchen: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    out = ["--json", str(tmp_path / "s.json")]
    assert evaluate(kitchen, trained / "model.ckpt", "--vocabulary", "noun", *out).exit_code == 0
    alone = json.loads((tmp_path / "s.json").read_text())
    assert evaluate(kitchen, trained / "model.ckpt", *out).exit_code == 0
    assert json.loads((tmp_path / "s.json").read_text())["parts"]["noun"] == alone
    result = evaluate(kitchen, trained / "model.ckpt", "--vocabulary", "tool")
    assert result.exit_code != 0
    assert "not trained on vocabulary 'tool'" in result.output


def test_validation_is_the_mean_over_vocabularies(kitchen: tuple[Path, Path], trained: Path, tmp_path: Path) -> None:
    out = ["--split", "validation", "--json", str(tmp_path / "s.json")]
    assert evaluate(kitchen, trained / "model.ckpt", *out).exit_code == 0
    parts = json.loads((tmp_path / "s.json").read_text())["parts"]
    expected = sum(part["average_mAP"] for part in parts.values()) / 2
    (scores,) = [line for line in curve(trained) if line["group"] == "validation"]
    found = [value for name, value in scores.items() if name.startswith("average mAP")]
    assert max(found) == pytest.approx(expected)


def test_the_challenges_protocol_reads_the_combinations(
    kitchen: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    out = ["--protocol", "epic-kitchens", "--json", str(tmp_path / "s.json"), "--out", str(tmp_path)]
    assert evaluate(kitchen, trained / "model.ckpt", *out).exit_code == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    assert set(scores["parts"]) == {"action", "verb", "noun"}
    assert scores["vocabulary"] == "action"
    assert scores["average_mAP"] > 0.2
    result = run(
        "eval", "--predictions", str(tmp_path / "detections-verb-noun.json"), "--annotations", str(kitchen[0]),
        "--protocol", "epic-kitchens", "--json", str(tmp_path / "again.json"),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    again = json.loads((tmp_path / "again.json").read_text())
    for task in ("action", "verb", "noun"):
        assert again["parts"][task]["average_mAP"] == pytest.approx(scores["parts"][task]["average_mAP"])


def test_sensitivity_names_the_vocabulary_of_each_class(
    kitchen: tuple[Path, Path], trained: Path, tmp_path: Path
) -> None:
    assert evaluate(kitchen, trained / "model.ckpt", "--sensitivity", str(tmp_path / "s.json")).exit_code == 0
    classes = json.loads((tmp_path / "s.json").read_text())["classes"]
    assert list(classes) == [*(f"verb: {name}" for name in VERBS), *(f"noun: {name}" for name in NOUNS)]
    document = json.loads(kitchen[0].read_text())
    rows = [s for video in document["videos"].values() if video["split"] == "train" for s in video["segments"]]
    for noun in NOUNS:
        count = sum(row["labels"].get("noun") == noun for row in rows)
        assert classes[f"noun: {noun}"]["training_segments"] == count


def test_a_run_goes_on_and_repeats_itself(kitchen: tuple[Path, Path], tmp_path: Path) -> None:
    assert run(*command(kitchen, tmp_path / "whole", *BOTH, *BRIEF)).exit_code == 0
    assert run(*command(kitchen, tmp_path / "again", *BOTH, *BRIEF)).exit_code == 0
    assert run(*command(kitchen, tmp_path / "again", *BOTH, *BRIEF, "--resume")).exit_code == 0
    assert_same_run(tmp_path / "again", tmp_path / "whole")
    turned = ["--set", 'data.vocabulary=["noun", "verb"]']
    result = run(*command(kitchen, tmp_path / "again", *turned, *BRIEF, "--resume"))
    assert result.exit_code == 1
    assert "recipe data.vocabulary: ['verb', 'noun'] then, ['noun', 'verb'] now" in result.output
    assert "classes: not the same names in the same order" in result.output


def test_a_list_of_one_is_that_one(kitchen: tuple[Path, Path], of_nouns: Path, tmp_path: Path) -> None:
    assert run(*command(kitchen, tmp_path, "--set", 'data.vocabulary=["noun"]', *BRIEF)).exit_code == 0
    assert_same_run(tmp_path, of_nouns)
    assert load_checkpoint(of_nouns / "model.ckpt").vocabularies == {"noun": tuple(NOUNS)}


def test_labels_are_counted_through_the_vocabularies(kitchen: tuple[Path, Path]) -> None:
    annotations = AnnotationSet.model_validate_json(kitchen[0].read_text())
    reader = FeatureReader([kitchen[1]])
    both = load_split(annotations, "train", reader, {"verb": VERBS, "noun": NOUNS}).items
    nouns = load_split(annotations, "train", reader, {"noun": NOUNS}).items
    for item, own in zip(both, nouns, strict=True):
        labelled = item.labels[:, 1] != UNLABELLED
        assert item.labels[labelled, 1].tolist() == (own.labels[:, 0] + len(VERBS)).tolist()
        assert item.segments_s[labelled].tolist() == own.segments_s.tolist(), "those without a noun are left out"
    assert any((item.labels == UNLABELLED).any() for item in both)
    with pytest.raises(AnnotationError, match="class 'tap' is not among the 2 classes of the model"):
        load_split(annotations, "train", reader, {"verb": VERBS, "noun": NOUNS[:2]})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.vocabulary=[]", "vocabulary"),
        ('data.vocabulary=["verb", "verb"]', "vocabulary must not contain duplicates"),
        ('data.vocabulary=["verb", "tool"]', "no vocabulary 'tool'; there are: noun, verb"),
        ("data.train_split=train", "several vocabularies (noun, verb)"),
    ],
    ids=["empty", "twice", "unknown", "none named"],
)
def test_wrong_vocabularies(setting: str, message: str, kitchen: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(*command(kitchen, tmp_path / "run", "--set", setting))
    assert result.exit_code != 0
    assert message in result.output
    assert not (tmp_path / "run" / "model.ckpt").exists()


def test_how_to_learn_several_is_said(kitchen: tuple[Path, Path], tmp_path: Path) -> None:
    epic = tmp_path / "epic.json"
    epic.write_text(kitchen[0].read_text().replace('"own"', '"epic-kitchens"'))
    result = run(*command((epic, kitchen[1]), tmp_path / "run"))
    assert """or on several together: --set 'data.vocabulary=["verb", "noun"]'""" in " ".join(result.output.split())


def test_a_name_that_joins_names_is_refused(kitchen: tuple[Path, Path], tmp_path: Path) -> None:
    document = json.loads(kitchen[0].read_text().replace('"tap"', '"tap, hot"'))
    annotations = tmp_path / "a.json"
    annotations.write_text(json.dumps(document))
    result = run(*command((annotations, kitchen[1]), tmp_path / "run", *BOTH))
    assert result.exit_code == 1
    assert "vocabulary 'noun': 'tap, hot' contains ','" in " ".join(result.output.split())
    alone = ["--set", "data.vocabulary=noun", *BRIEF]
    assert run(*command((annotations, kitchen[1]), tmp_path / "alone", *alone)).exit_code == 0


@pytest.mark.parametrize("vocabulary", ["noun", None], ids=["named", "not known"])
def test_a_checkpoint_from_before_several_vocabularies(
    vocabulary: str | None, kitchen: tuple[Path, Path], of_nouns: Path, tmp_path: Path
) -> None:
    fields = torch.load(of_nouns / "model.ckpt", weights_only=True)
    fields["class_names"] = fields.pop("vocabularies")["noun"]
    fields["provenance"]["vocabulary"] = vocabulary
    del fields["recipe"]["inference"]["combined_classes"]
    torch.save(fields, tmp_path / "old.ckpt")
    assert load_checkpoint(tmp_path / "old.ckpt").vocabularies == {vocabulary or "": tuple(NOUNS)}
    new = evaluate(kitchen, of_nouns / "model.ckpt", "--json", str(tmp_path / "new.json"))
    assert new.exit_code == 0, new.output
    old = evaluate(kitchen, tmp_path / "old.ckpt", "--json", str(tmp_path / "old.json"))
    if vocabulary is None:
        assert old.exit_code == 1
        assert "several vocabularies (noun, verb)" in old.output
    else:
        assert old.exit_code == 0, old.output
        assert (tmp_path / "old.json").read_bytes() == (tmp_path / "new.json").read_bytes()


def test_epic_kitchens_from_two_splits_to_the_file_for_the_server(kitchen: tuple[Path, Path], tmp_path: Path) -> None:
    """Docs, Several splits: a model of verbs and one of nouns, and their detections on withheld videos in one file."""
    manifest = load_manifest("epic-kitchens")
    document = read_annotations(kitchen[0]).model_dump()
    document |= {"dataset": "epic-kitchens", "vocabularies": manifest.vocabularies}
    for video in document["videos"].values():
        for segment in video["segments"]:
            segment["labels"] = {
                name: manifest.vocabularies[name][(VERBS + NOUNS).index(label) % 3]
                for name, label in segment["labels"].items()
            }
        if video["split"] == "test":
            video["segments"] = None
    task = (tmp_path / "epic-kitchens.json", kitchen[1])
    write_annotations(AnnotationSet.model_validate(document), task[0])
    predictions = []
    for name in ("verb", "noun"):
        settings = words('data.train_split=["train", "validation"]', f"data.vocabulary={name}", "optimizer.epochs=1")
        result = run(*command(task, tmp_path / name, *settings))
        assert result.exit_code == 0, result.output
        out = tmp_path / name / "test"
        result = evaluate(task, tmp_path / name / "model.ckpt", "--split", "test", "--out", str(out))
        assert result.exit_code == 0, result.output
        predictions.append(str(out / "detections.json"))
    written = tmp_path / "test.json"
    both = ("--predictions", ",".join(predictions), "--annotations", task[0], "--sls", "2,3,3", "-o", written)
    result = run("submit", "--to", "epic-kitchens", *both)
    assert result.exit_code == 0, result.output
    submission = json.loads(written.read_text())
    assert (submission["challenge"], submission["sls_pt"]) == ("action_detection", 2)
    assert sorted(submission["results"]) == ["video 10", "video 11"]
    for rows in submission["results"].values():
        assert rows
        assert rows == sorted(rows, key=lambda row: -row["score"])
        assert all(row["action"] == f"{row['verb']},{row['noun']}" for row in rows)
