"""One class learned and named by scores of whole videos; and several splits, to the file for a benchmark's server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.command_line import run
from helpers.support import make_task
from helpers.training_runs import command, words

from asl_kit.annotations import AnnotationSet, read_annotations, write_annotations
from asl_kit.checkpoint.files import load_checkpoint
from asl_kit.detections.json_format import read_predictions
from asl_kit.manifests.files import load_manifest

CLASSES = ["class 0", "class 1"]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def trained(task: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("runs") / "one"
    settings = words("data.one_class=true", "optimizer.epochs=12", "optimizer.learning_rate=1e-2")
    result = run(*command(task, out, *settings))
    assert result.exit_code == 0, result.output
    return out, result.stderr


def write_scores(path: Path, annotations: AnnotationSet, **changes: Any) -> Path:
    """Write scores of the test videos: the share of each class among the segments."""
    results = {}
    for video_id, video in annotations.split("test").items():
        labels = [segment.labels["action"] for segment in video.segments or ()]
        results[video_id] = [labels.count(name) / len(labels) for name in CLASSES]
    path.write_text(json.dumps({"class": CLASSES, "results": results} | changes))
    return path


def evaluate(task: tuple[Path, Path], trained: Path, *more: str) -> Any:
    return run("eval", "--checkpoint", trained / "model.ckpt", "--annotations", task[0], "--features", task[1], *more)


def test_actions_are_learned_without_their_classes(
    task: tuple[Path, Path], trained: tuple[Path, str], tmp_path: Path
) -> None:
    folder, messages = trained
    assert "one class: every segment is an action" in messages
    assert "the class level learns one curve for all actions" in messages
    assert "the contrastive loss contrasts actions with the background only" in messages
    checkpoint = load_checkpoint(folder / "model.ckpt")
    assert checkpoint.class_names == ("action",)
    assert checkpoint.vocabularies == {"action": tuple(CLASSES)}
    segments = sum(len(video.segments or ()) for video in read_annotations(task[0]).split("train").values())
    assert checkpoint.provenance["train_segments"] == [segments]
    result = evaluate(task, folder, "--class-agnostic", "--json", str(tmp_path / "s.json"))
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "s.json").read_text())["average_mAP"] > 0.6
    assert evaluate(task, folder, "--protocol", "proposals").exit_code == 0
    other = tmp_path / "other.json"
    other.write_text(task[0].read_text().replace(CLASSES[1], "a class that it has not seen"))
    result = evaluate((other, task[1]), folder, "--class-agnostic", "--sensitivity", str(tmp_path / "q.json"))
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "q.json").read_text())["videos"]


def test_scores_of_videos_name_the_classes(task: tuple[Path, Path], trained: tuple[Path, str], tmp_path: Path) -> None:
    """What is written has the dataset's classes, so that every other command takes it."""
    folder, _ = trained
    scores = write_scores(tmp_path / "scores.json", read_annotations(task[0]))
    out = tmp_path / "results"
    result = evaluate(
        task, folder, "--video-scores", str(scores), "--out", str(out), "--sensitivity", str(out / "q.json")
    )
    assert result.exit_code == 0, result.output
    named = read_predictions(out / "detections.json")
    assert set(named.class_names) == set(CLASSES)
    alone = evaluate(task, folder, "--class-agnostic", "--out", str(tmp_path / "alone"))
    assert alone.exit_code == 0, alone.output
    assert read_predictions(tmp_path / "alone" / "detections.json").class_names == ("action",)

    def of_file(predictions: Path, *more: str) -> Any:
        result = run(
            "eval", "--predictions", predictions, "--annotations", task[0], *more, "--json", tmp_path / "s.json"
        )
        assert result.exit_code == 0, result.output
        return json.loads((tmp_path / "s.json").read_text())

    unnamed = run("eval", "--predictions", tmp_path / "alone" / "detections.json", "--annotations", task[0])
    assert unnamed.exit_code == 1
    assert "class 'action' is not among the 2" in unnamed.stderr
    assert "--video-scores FILE of eval and predict does" in unnamed.stderr
    written = json.loads((out / "scores.json").read_text())
    assert of_file(out / "detections.json")["mAP"] == written["mAP"]
    assert of_file(tmp_path / "alone" / "detections.json", "--video-scores", str(scores))["mAP"] == written["mAP"]
    assert list(json.loads((out / "q.json").read_text())["classes"]) == ["action"]
    inputs = ("--predictions", out / "detections.json", "--annotations", task[0])
    assert run("diagnose", *inputs, "--resamples", "100").exit_code == 0
    page = ("--sensitivity", out / "q.json", "-o", tmp_path / "report.html")
    assert run("report", *inputs, *page).exit_code == 0
    assert "Learned sensitivity" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("scores", "more", "message"),
    [
        pytest.param(None, "", "this model knows one class, 'action', and does not name", id="none"),
        pytest.param({"results": {"video 6": [0.5, 0.5]}}, "", "no scores for 1 videos: video 7", id="a video"),
        pytest.param({"class": ["class 0", "run"]}, "", "1 of its 2 classes are not among the 2", id="other classes"),
        pytest.param(
            {"class": ["class 0"], "results": {"video 6": [1.0], "video 7": [1.0]}},
            "",
            "has 1 classes, and lacks 1 of the 2 of vocabulary 'action': class 1",
            id="fewer classes",
        ),
        pytest.param(
            {"class": [*CLASSES, "run"], "results": {"video 6": [1.0] * 3, "video 7": [1.0] * 3}},
            "",
            "1 of its 3 classes are not among the 2 of vocabulary 'action': run",
            id="more classes",
        ),
        pytest.param({"results": {"video 6": [0.5]}}, "", "video 'video 6': expected 2 scores", id="length"),
        pytest.param({"results": {"video 6": [0.5, float("nan")]}}, "", "expected a number not below 0", id="NaN"),
        pytest.param({}, "--class-agnostic", "which a class-agnostic evaluation ignores", id="two that exclude"),
    ],
)
def test_scores_that_do_not_fit(
    task: tuple[Path, Path],
    trained: tuple[Path, str],
    tmp_path: Path,
    scores: dict[str, Any] | None,
    more: str,
    message: str,
) -> None:
    options = more.split()
    if scores is not None:
        options += ["--video-scores", str(write_scores(tmp_path / "s.json", read_annotations(task[0]), **scores))]
    result = evaluate(task, trained[0], *options, "--out", str(tmp_path / "results"))
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert result.stderr.count("error:") == 1
    assert "Traceback" not in result.output
    assert not (tmp_path / "results").exists()


def test_from_two_splits_to_the_file_for_the_server(task: tuple[Path, Path], tmp_path: Path) -> None:
    """Trained on the training and the validation videos, run on test videos whose labels are withheld."""
    ours = read_annotations(task[0])
    names = load_manifest("ego4d-mq").vocabularies["action"]
    document = ours.model_dump()
    document |= {"dataset": "ego4d-mq", "vocabularies": {"action": names}}
    for video in document["videos"].values():
        video["split"] = {"validation": "val"}.get(video["split"], video["split"])
        for segment in video["segments"]:
            segment["labels"] = {"action": names[CLASSES.index(segment["labels"]["action"])]}
        if video["split"] == "test":
            video["segments"] = None
    annotations = tmp_path / "ego4d-mq.json"
    write_annotations(AnnotationSet.model_validate(document), annotations)
    both = words('data.train_split=["train", "val"]', "optimizer.epochs=1")
    result = run(*command((annotations, task[1]), tmp_path / "run", *both))
    assert result.exit_code == 0, result.output
    assert "kept: averaged weights of the last epoch: no validation split to choose by" in result.stderr
    provenance = load_checkpoint(tmp_path / "run" / "model.ckpt").provenance
    assert (provenance["train_split"], provenance["train_videos"]) == ("train,val", 6)

    test = ("--split", "test")
    final = (annotations, task[1])
    refused = evaluate(final, tmp_path / "run", *test)
    assert (refused.exit_code, refused.stderr.count("error:")) == (1, 1)
    assert "no video of split 'test' is annotated: nothing can be scored" in refused.stderr
    more = ("--out", str(tmp_path / "results"), "--sensitivity", str(tmp_path / "q.json"))
    result = evaluate(final, tmp_path / "run", *test, *more)
    assert result.exit_code == 0, result.output
    assert "the labels of this split are withheld" in result.stderr
    assert list(json.loads((tmp_path / "q.json").read_text())["videos"]) == ["video 6", "video 7"]
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["detections.json"]
    to = ("--to", "ego4d-mq", "--annotations", annotations, "-o", tmp_path / "submission.json")
    result = run("submit", "--predictions", tmp_path / "results" / "detections.json", *to)
    assert result.exit_code == 0, result.output
    submission = json.loads((tmp_path / "submission.json").read_text())
    assert sorted(submission["detect_results"]) == ["video 6", "video 7"]
    assert all(submission["detect_results"].values())
    both = ("--split", "train,val", "--json", str(tmp_path / "s.json"))
    assert evaluate(final, tmp_path / "run", *both).exit_code == 0
    assert json.loads((tmp_path / "s.json").read_text())["coverage"]["videos"] == 6


def test_a_validation_split_that_is_trained_on_is_told(task: tuple[Path, Path], tmp_path: Path) -> None:
    splits = words('data.train_split=["train", "validation"]', "data.validation_split=validation", "optimizer.epochs=1")
    result = run(*command(task, tmp_path / "run", *splits))
    assert result.exit_code == 0, result.output
    assert "warning: 2 videos of validation split validation are trained on" in result.stderr
