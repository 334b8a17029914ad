"""Damaged files of every format that commands read: refused with one message, or read exactly as written."""

from __future__ import annotations

import atexit
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import tomllib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np
import torch
import yaml
from helpers.actionformer_files import state
from helpers.command_line import run
from helpers.support import make_features, write_model, write_video
from tools.fuzz_damage import damage
from tools.fuzz_outcomes import Outcome, at_most

from asl_kit.annotations import read_annotations
from asl_kit.annotations.io import ordered, to_text
from asl_kit.detections import json_format
from asl_kit.errors import AslKitError
from asl_kit.manifests.files import read_manifest
from asl_kit.recipes.files import load_recipe
from asl_kit.store import FeatureStore

OLD_FILES = Path(__file__).parents[1] / "formats" / "v1"
SUBPROCESS_EVERY = 100
"""One case in this many runs in a separate process, as users run it."""

Command = list[str] | Callable[[], object]


@dataclass(frozen=True)
class Format:
    """The files of one format, and a command that reads them."""

    files: str
    """Pattern of the files to damage."""
    make: Callable[[Path], None]
    """Writes undamaged files into a folder."""
    command: Callable[[random.Random], Command]
    """Returns the command that reads them, to be run in that folder."""
    check: Callable[[Path, str], str | None] = lambda folder, output: None
    """Returns what was read differently from how it was written, if anything, after the command succeeded."""
    output: str = "out*"
    """Pattern of the files that must not exist after a refusal."""
    each: bool = False
    """Whether every file is damaged, and not only some."""
    tested_cases: int = 12
    """Number of cases that the test suite runs."""


def run_format(name: str, case: int, chance: random.Random, folder: Path) -> Outcome:
    """Damage files of a format, run a command that reads them, and return the outcome."""
    form = FORMATS[name]
    place = folder / "case"
    shutil.copytree(sound_files(name), place)
    files = sorted(path for path in place.glob(form.files) if path.is_file())
    damages = "; ".join(damage([file], chance) for file in files) if form.each else damage(files, chance)
    command = form.command(chance)
    words = " ".join(command) if isinstance(command, list) else ""
    story = f"{damages}\n  asl-kit {words}"
    try:
        with at_most(), contextlib.chdir(place):
            code, output = run_command(command, apart=(case + 1) % SUBPROCESS_EVERY == 0)
    except TimeoutError:
        return Outcome("hangs", story)
    except BaseException:
        return Outcome("traceback", f"{story}\n{traceback.format_exc()}")
    if "Traceback (most recent" in output or code not in (0, 1, 2):
        return Outcome("traceback", f"{story}\n{code}: {output[-3000:]}")
    if left := [str(path) for path in place.rglob("*.tmp")]:
        return Outcome("half-written", f"{story}\n{left}")
    if code:
        if not output.strip():
            return Outcome("no message", story)
        if form.output and (left := [str(path) for path in place.glob(form.output)]):
            return Outcome("half-written", f"{story}\n{left}")
        return Outcome("refused", f"{story}\n{output}")
    with contextlib.chdir(place):
        wrong = form.check(place, words)
    return Outcome("wrongly accepted", f"{story}\n{wrong}") if wrong else Outcome("accepted", f"{story}\n{output}")


def run_command(command: Command, *, apart: bool) -> tuple[int, str]:
    if not isinstance(command, list):
        try:
            return 0, str(command())
        except AslKitError as error:
            return error.exit_code, error.message
    if apart:
        done = subprocess.run([sys.executable, "-m", "asl_kit", *command], capture_output=True, check=False)
        return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")
    result = run(*command)
    return result.exit_code, result.output


@cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="asl-kit-fuzzing-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def sound_files(name: str) -> Path:
    """Return a folder with undamaged files of a format."""
    folder = _folder() / name
    folder.mkdir()
    with contextlib.chdir(folder):
        FORMATS[name].make(folder)
    return folder


def _copy_old_files(folder: Path) -> None:
    shutil.copytree(OLD_FILES, folder, dirs_exist_ok=True)


# The unified annotations.


def _annotation_command(chance: random.Random) -> Command:
    return chance.choice(
        (
            ["annotations", "validate", "annotations.json"],
            ["annotations", "stats", "annotations.json"],
            ["annotations", "export", "annotations.json", "--to", "csv", "-o", "out.csv"],
            ["annotations", "export", "annotations.json", "--to", "activitynet", "-o", "out.json"],
            ["eval", "--predictions", "detections.json", "--annotations", "annotations.json", "--split", "test"],
        )
    )


def _check_annotations(folder: Path, command: str) -> str | None:
    document = json.loads((folder / "annotations.json").read_bytes())
    read = read_annotations(folder / "annotations.json")
    fields = read.model_dump()
    if ordered(fields) != read.model_validate_json(to_text(read)).model_dump():
        return "written and read again, it is another"
    for video_id, video in document["videos"].items():
        for segment, mine in zip(video["segments"] or [], fields["videos"][video_id]["segments"] or [], strict=True):
            if not 0 <= segment["start"] < segment["end"] <= video["duration"] + 0.1:
                return f"{video_id}: {segment}"
            if segment["labels"] != mine["labels"] or (segment["start"], segment["end"]) != (
                mine["start"],
                mine["end"],
            ):
                return f"{video_id}: {segment} is read as {mine}"
    return None


# Predictions.


def _prediction_command(chance: random.Random) -> Command:
    scored = ["--predictions", "detections.json", "--annotations", "annotations.json", "--split", "test"]
    return chance.choice(
        (["eval", *scored], ["diagnose", *scored], ["report", "--predictions", "detections.json", "-o", "out.html"])
    )


def _check_predictions(folder: Path, command: str) -> str | None:
    path = folder / "detections.json"
    quick = json_format.read_predictions(path)
    with mock.patch("asl_kit.detections.json_reader._read_valid", return_value=None):
        careful = json_format.read_predictions(path)
    plain = {
        video: sorted((-row["score"], *row["segment"], row["label"]) for row in rows)
        for video, rows in json.loads(path.read_bytes())["results"].items()
    }
    for reader, read in {"quick": quick, "careful": careful}.items():
        rows = {
            video: [(-row.score, row.start_s, row.end_s, row.label) for row in read.rows(video)]
            for video in read.video_ids
        }
        if rows != plain:
            return f"the {reader} reader reads something else"
    return None


# Recipes and manifests.


def _make_recipes(folder: Path) -> None:
    shutil.copy(OLD_FILES / "recipe.toml", "base.toml")
    about = '[about]\ndataset = "thumos14"\nfeatures = ["i3d"]\nsettings = "of nobody"\nlimits = ["none"]\n'
    own = "[optimizer]\nepochs = 9\n\n[model]\nattention_window = 9\nstream_widths = [256, 256]\n\n[inference]\n"
    published = '[[about.published]]\nmethod = "ASL"\naverage_map = 50.5\nsource = "a paper"\n'
    Path("own.toml").write_text(f'version = 1\nextends = "base.toml"\n{own}\n{about}\n{published}')


def _check_recipe(folder: Path, command: str) -> str | None:
    recipe = load_recipe("own.toml").model_dump(mode="json")
    fields = tomllib.loads(Path("own.toml").read_text(encoding="utf-8"))
    for table, values in fields.items():
        for key, value in values.items() if table in recipe else ():
            found = recipe[table][key]
            if type(value) in (int, float, str) and (found != value or isinstance(found, bool)):
                return f"{table}.{key} = {value!r} is read as {found!r}"
    return None


# Checkpoints.


def _checkpoint_command(chance: random.Random) -> Command:
    scored = ["--annotations", "annotations.json", "--features", "features.zarr", "--split", "test"]
    more = chance.choice(([], [], ["--sensitivity", "out.json"]))
    return ["eval", "--checkpoint", "model.ckpt", *scored, *more]


def _resume_command(chance: random.Random) -> Command:
    settings = [word for setting in RESUMED for word in ("--set", setting)]
    task = ["--annotations", "annotations.json", "--features", "features.zarr"]
    return ["train", *task, "--out", "run", "--resume", "--device", "cpu", *settings]


RESUMED = (
    *("model.width=4", "model.attention_heads=2", "model.attention_window=5", "model.stem_blocks=0"),
    *("model.head_layers=1", "model.pyramid_levels=1", "data.sequence_length=32", "optimizer.batch_size=2"),
    *("optimizer.epochs=2", "optimizer.warmup_epochs=1", "optimizer.learning_rate=3e-3", "run.validate_every=1"),
    *("run.precision=float32", "model.drop_path=0", "contrastive.enabled=true"),
)


def _make_trained(folder: Path) -> None:
    """Write a video, a store of its features, and a model of random weights for them."""
    write_video(Path("clip.mp4"), frames=40)
    extract = ["extract", "clip.mp4", "-o", "features.zarr", "--backbone", "x3d_xs", "--weights", "random"]
    result = run(*extract, "--stride", "8", "--size", "64", "--decoder", "pyav")
    assert result.exit_code == 0, result.output
    write_model(Path("model.ckpt"), FeatureStore.open("features.zarr").spec)


def _make_spec(folder: Path) -> None:
    _make_trained(folder)
    state = torch.load("model.ckpt", weights_only=True)
    Path("spec.json").write_text(json.dumps(state["extraction"]))


def _spec_command(chance: random.Random) -> Command:
    """Put the damaged spec, where it is one, into the store and the checkpoint; read it from there."""
    by_store = chance.random() < 0.5

    def read() -> str:
        with contextlib.suppress(OSError, ValueError, RecursionError, UnicodeEncodeError):
            specs = json.loads(Path("spec.json").read_bytes())
            state = torch.load("model.ckpt", weights_only=True)
            torch.save(state | {"extraction": specs}, "model.ckpt")
            for path in (Path("features.zarr/zarr.json"), Path("features.zarr/videos/zarr.json")):
                document = json.loads(path.read_bytes())
                document["attributes"]["spec"] = specs[0] if isinstance(specs, list) and specs else specs
                path.write_text(json.dumps(document))
        extract = ["extract", "clip.mp4", "-o", "out", "--like", "features.zarr"]
        predict = ["predict", "clip.mp4", "--checkpoint", "model.ckpt", "-o", "out.json", "--workers", "0"]
        code, output = run_command([*extract, "--weights", "random"] if by_store else predict, apart=False)
        if code:
            raise AslKitError(output)
        return output

    return read


# Stores.


def _store_command(chance: random.Random) -> Command:
    scored = ["--checkpoint", "model.ckpt", "--annotations", "annotations.json", "--features", "features.zarr"]
    words = ("info", "verify", "verify", "verify", "list")
    return chance.choice((*(["store", word, "features.zarr"] for word in words), ["eval", *scored, "--split", "test"]))


def _check_store(folder: Path, command: str) -> str | None:
    if "verify" not in command:
        return None
    now, before = FeatureStore.open("features.zarr"), FeatureStore.open(OLD_FILES / "features.zarr")
    for video_id in set(now.video_ids()) & set(before.video_ids()):
        if not np.array_equal(now.read(video_id), before.read(video_id)):
            return f"verified, and the features of {video_id!r} are others"
    return None


# Files of other programs.


def _make_features(folder: Path) -> None:
    shutil.copy(OLD_FILES / "annotations.json", folder)
    Path("theirs").mkdir()
    np.save("theirs/a.npy", make_features(32))
    np.savez("theirs/b.npz", feats=make_features(32), other=np.zeros(3))
    torch.save({"feats": torch.from_numpy(make_features(32))}, "theirs/c.pt")
    with h5py.File("theirs/d.h5", "w") as file:
        file["features"] = make_features(32)
    with h5py.File("theirs/many.h5", "w") as file:
        file["e"], file["f"] = make_features(32), make_features(16)
    np.savetxt("theirs/g.csv", make_features(8), delimiter=",", header="a,b,c,d", comments="")


def _features_command(chance: random.Random) -> Command:
    where = chance.choice(("theirs", "theirs", "theirs", "theirs/many.h5"))
    more = chance.choice((["--key", "feats"], ["--annotations", "annotations.json"], [], []))
    windows = ["--window", "16", "--stride", "4", "--fps", "30", "--dim", "4", "--layout", "time-first"]
    return ["import-features", where, "-o", "out", *windows, *more]


def _make_actionformer(folder: Path) -> None:
    fields: dict[str, Any] = {
        "dataset_name": "thumos",
        "devices": ["cuda:0"],
        "dataset": {
            "num_classes": 20, "input_dim": 4, "feat_stride": 4, "num_frames": 16, "max_seq_len": 32,
            "json_file": "thumos.json", "crop_ratio": [0.9, 1.0],
        },
        "model": {
            "backbone_arch": [1, 0, 1], "regression_range": [[0, 4], [4, 10000]], "embd_dim": 4, "fpn_dim": 4,
            "head_dim": 4, "n_head": 1, "head_num_layers": 1, "n_mha_win_size": [5, 5], "use_abs_pe": True,
        },
        "loader": {"batch_size": 2},
        "train_cfg": {"droppath": 0.0, "clip_grad_l2norm": 1.0},
        "test_cfg": {"min_score": 0.001, "max_seg_num": 200},
        "opt": {"epochs": 3, "warmup_epochs": 2},
    }  # fmt: skip
    Path("config.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    labels = [{"label": f"class {number}", "label_id": number} for number in range(20)]
    Path("thumos.json").write_text(json.dumps({"database": {"v": {"annotations": labels}}}))
    weights = {f"module.{name}": value for name, value in state().items()}
    torch.save({"epoch": 3, "state_dict": weights, "state_dict_ema": weights}, "epoch_003.pth.tar")


def _import_command(chance: random.Random) -> Command:
    kind = chance.choice(("ema", "plain"))
    return [
        *("import-checkpoint", "epoch_003.pth.tar", "--from", "actionformer", "--config", "config.yaml"),
        *("-o", "out.ckpt", "--weights", kind),
    ]


def _make_video_scores(folder: Path) -> None:
    _copy_old_files(folder)
    videos = list(json.loads(Path("detections.json").read_bytes())["results"])
    rows = {video: [0.25, 0.5] for video in videos}
    Path("scores.json").write_text(json.dumps({"class": ["run", "jump"], "results": rows}))
    names = {video: {"run": 0.25, "jump": 0.5} for video in videos}
    Path("scores_by_name.json").write_text(json.dumps({"results": names}))
    logits = {video: [row] for video, row in rows.items()}
    Path("scores_of_logits.json").write_text(json.dumps({"class": ["run", "jump"], "results": logits}))


def _video_scores_command(chance: random.Random) -> Command:
    scores = chance.choice(("scores.json", "scores_by_name.json", "scores_of_logits.json"))
    scored = ["--predictions", "detections.json", "--annotations", "annotations.json", "--split", "test"]
    return ["eval", *scored, "--video-scores", scores, "--json", "out.json"]


def _sensitivity_command(chance: random.Random) -> Command:
    scored = ["--predictions", "detections.json", "--annotations", "annotations.json", "--split", "test"]
    return ["report", *scored, "--sensitivity", "sensitivity.json", "-o", "out.html"]


# Lists, weights and videos.


def _make_list(folder: Path) -> None:
    _make_trained(folder)
    Path("videos").mkdir()
    shutil.copy("clip.mp4", "videos/é 1.mp4")
    Path("list.txt").write_text("clip.mp4\nvideos\n\nvideos/*.mp4\n", encoding="utf-8")


def _list_command(chance: random.Random) -> Command:
    return ["predict", "--list", "list.txt", "--checkpoint", "model.ckpt", "-o", "out.json", "--workers", "0"]


def _make_weights(folder: Path) -> None:
    from asl_extract.backbones import get_backbone

    torch.manual_seed(0)
    write_video(Path("clip.mp4"), frames=16)
    torch.save({"state_dict": get_backbone("x3d_xs").build(64).state_dict()}, "weights.pt")


def _weights_command(chance: random.Random) -> Command:
    settings = ["--backbone", "x3d_xs", "--size", "64", "--stride", "16", "--decoder", "pyav"]
    return ["extract", "clip.mp4", "-o", "out", *settings, "--weights", "weights.pt"]


def _make_videos(folder: Path) -> None:
    Path("videos").mkdir()
    write_video(Path("clip.mp4"), frames=40)
    for number, suffix in enumerate(("mp4", "mkv", "avi", "webm") * 6):
        path = f"videos/{number}.{suffix}"
        if suffix == "mp4" or shutil.which("ffmpeg") is None:
            shutil.copy("clip.mp4", path)
        else:
            codec = {"mkv": "copy", "avi": "mpeg4", "webm": "libvpx"}[suffix]
            subprocess.run(["ffmpeg", "-v", "error", "-i", "clip.mp4", "-c:v", codec, path], check=True)


def _video_command(chance: random.Random) -> Command:
    """Extract from many: a decoder process is started once for all of them."""
    decoder = chance.choice(("pyav", "decord", "torchcodec"))
    settings = ["--backbone", "x3d_xs", "--weights", "random", "--size", "64", "--stride", "16"]
    return ["extract", "videos", "-o", "out", *settings, "--decoder", decoder, "--workers", "1", "--time-limit", "15"]


FORMATS = {
    "annotations": Format("annotations.json", _copy_old_files, _annotation_command, _check_annotations),
    "predictions": Format("detections.json", _copy_old_files, _prediction_command, _check_predictions),
    "recipe": Format(
        "*.toml", _make_recipes, lambda _: ["train", "--recipe", "own.toml", "--print-recipe"], _check_recipe
    ),
    "manifest": Format("tiny.toml", _copy_old_files, lambda _: lambda: read_manifest(Path("tiny.toml"))),
    "checkpoint": Format("model.ckpt", _copy_old_files, _checkpoint_command),
    "last-checkpoint": Format("run/*", _copy_old_files, _resume_command, tested_cases=4),
    "store": Format("features.zarr/**/*", _copy_old_files, _store_command, _check_store),
    "extraction-spec": Format("spec.json", _make_spec, _spec_command, output="out.json", tested_cases=6),
    "video-scores": Format("scores*", _make_video_scores, _video_scores_command),
    "sensitivity": Format("sensitivity.json", _copy_old_files, _sensitivity_command, tested_cases=6),
    "actionformer-checkpoint": Format("*.tar", _make_actionformer, _import_command),
    "actionformer-config": Format("*.yaml", _make_actionformer, _import_command),
    "actionformer-classes": Format("thumos.json", _make_actionformer, _import_command),
    "features": Format("theirs/*", _make_features, _features_command, output=""),
    "video-list": Format("list.txt", _make_list, _list_command, tested_cases=4),
    "weights": Format("weights.pt", _make_weights, _weights_command, output="", tested_cases=2),
    "videos": Format("videos/*", _make_videos, _video_command, output="", each=True, tested_cases=1),
}
