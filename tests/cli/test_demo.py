import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from asl_kit.cli import main
from asl_kit.demo import videos as demo_videos
from asl_kit.demo.videos import plan_video

SCORES = {"tiou": [0.3, 0.5], "mAP": [0.8, 0.7], "average_mAP": 0.75}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch):
    """Run the demo with two videos of three frames, and with commands that only leave their results behind."""
    plans = demo_videos.demo_plans(train=1, test=1)
    monkeypatch.setattr(demo_videos, "demo_plans", lambda *, seed: plans)
    monkeypatch.setattr(demo_videos, "render_frames", lambda plan: iter([next(RENDER(plan))] * 3))
    state = SimpleNamespace(commands=[], fails="")

    def run(command, *, stdout, check):
        arguments = command[3:]
        state.commands.append(arguments)
        if arguments[0] == "eval":
            folder = Path(arguments[arguments.index("--out") + 1])
            folder.mkdir(exist_ok=True)
            (folder / "scores.json").write_text(json.dumps(SCORES))
        if arguments[0] == "predict":
            act = plan_video("new", seed=0, split="new").actions()[0]
            found = [
                {"segment": [act.start_s, act.end_s], "label": act.name, "score": 0.875},
                {"segment": [0.0, 0.125], "label": "wave", "score": 0.625},
                {"segment": [0.0, 0.125], "label": "wave", "score": 0.25},
            ]
            Path(arguments[-1]).write_text(json.dumps({"results": {"new": found}}))
        return SimpleNamespace(returncode=3 if arguments[0] == state.fails else 0)

    monkeypatch.setattr(subprocess, "run", run)
    return state


RENDER = demo_videos.render_frames


def test_all_steps_run_by_public_commands_that_are_shown(steps, tmp_path: Path):
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "demo"), "--json", str(tmp_path / "demo.json")])
    assert result.exit_code == 0, result.output
    assert [command[0] for command in steps.commands] == ["convert", "extract", "train", "eval", "predict", "report"]
    for command in steps.commands:
        assert " ".join(["$ asl-kit", *command]) in result.output
    assert re.search(r"mAP@0.5\W+0\.700", result.output)
    written = json.loads((tmp_path / "demo.json").read_text())
    assert written["scores"] == SCORES
    assert list(written["seconds"]) == ["videos", "convert", "extract", "train", "eval", "predict", "report"]


def test_what_was_drawn_in_the_new_video_stands_beside_what_was_found(steps, tmp_path: Path):
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "demo")])
    first, *others = plan_video("new", seed=0, split="new").actions()
    assert re.search(rf"{first.name} .*{first.start_s:.1f} .*{first.name} .*0\.88 .*1\.00", result.output)
    assert result.output.count("nothing") == len(others) + 1  # drawn and not found; found with 0.625 and not drawn


def test_json_on_stdout_is_alone_there(steps, tmp_path: Path):
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "demo"), "--json", "-"])
    assert json.loads(result.stdout)["scores"] == SCORES
    assert "$ asl-kit convert" in result.stderr


def test_a_step_that_fails_ends_the_demo_with_its_exit_code(steps, tmp_path: Path):
    steps.fails = "extract"
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "demo")])
    assert result.exit_code == 3
    assert "demo: extract failed" in result.stderr
    assert [command[0] for command in steps.commands] == ["convert", "extract"]


def test_a_second_run_keeps_the_videos_and_resumes_training(steps, tmp_path: Path):
    arguments = ["demo", "--out", str(tmp_path / "demo")]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert "--resume" not in steps.commands[2]
    (tmp_path / "demo" / "run").mkdir()
    (tmp_path / "demo" / "run" / "last.ckpt").touch()
    result = CliRunner().invoke(main, arguments)
    assert "2 of 2 videos exist from an earlier run" in result.stderr
    assert steps.commands[8][-1] == "--resume"


def test_a_folder_with_other_things_is_refused(steps, tmp_path: Path):
    (tmp_path / "thesis.txt").touch()
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "is not a folder of the demo" in result.stderr
    assert not steps.commands
