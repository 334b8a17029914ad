"""Mistakes in users' input: how each is made, the command that meets it, and what it must say.

The inputs are plain files, and everything else is made by the commands themselves, so that other checkouts can run the
same cases: see `tests/tools/wrong_inputs.py`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from helpers.support import write_video

Step = str | Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """A mistake."""

    name: str
    steps: tuple[Step, ...]
    """Functions of the folder, which make the input, and arguments of asl-kit; the last ones meet the mistake."""
    exit_code: int
    message: str
    """A piece of what is printed."""
    page: str | None = None
    """The file that holds the message, if it is not printed."""
    shell: str = ""
    """How a shell runs the last command, ``{command}``, where it needs one; tests of their own cover these cases."""


ROWS = ["a,2,10,drink coffee,test,100,25", "a,20,30,run,test,100,25", "b,40,90,run,test,100,25"]
HEADER = "video,start,end,label,split,duration,fps"
GOOD = {"a": [(2, 9, "drink coffee", 0.9), (20, 31, "run", 0.8)], "b": [(40, 88, "run", 0.7)]}
CONVERT = "convert csv activitynet13.csv -o a.json"
EXTRACT = "extract videos -o s.zarr --backbone x3d_xs --weights random --size 32 --window 8 --stride 8 --device cpu"
INIT = "init own.csv videos --device cpu --out p"
IMPORT = "import-features features -o f.zarr --window 16 --stride 4 --fps 30 --dim 4 --layout time-first"


def table(folder: Path, *rows: str, header: str = HEADER, name: str = "activitynet13.csv") -> None:
    """Write a table of segments."""
    (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def predictions(
    folder: Path,
    *,
    factor: float = 1.0,
    score: float = 1.0,
    prefix: str = "",
    label: Callable[[str], str] = str,
    rows: dict[str, list[tuple[float, float, str, float]]] | None = None,
) -> None:
    """Write annotations, good predictions `good.json`, and `p.json`, whose every number and name may be changed."""
    table(folder, *ROWS)
    for name, change in (("good.json", False), ("p.json", True)):
        results = {
            (prefix if change else "") + video: [
                {
                    "segment": [start * factor, end * factor] if change else [start, end],
                    "label": label(text) if change else text,
                    "score": value * score if change else value,
                }
                for start, end, text, value in segments
            ]
            for video, segments in (rows if change and rows else GOOD).items()
        }
        (folder / name).write_text(json.dumps({"results": results}), encoding="utf-8")


def videos(folder: Path, *, frames: int = 60) -> None:
    """Write two videos of 6 s; `other.mp4` is another one."""
    (folder / "videos").mkdir()
    for name in "ab":
        write_video(folder / "videos" / f"{name}.mp4", frames=frames, size=(48, 48))
    write_video(folder / "other.mp4", frames=50, size=(48, 48))


def replace_video(folder: Path) -> None:
    """Put another video in the place of a video."""
    shutil.copyfile(folder / "other.mp4", folder / "videos" / "b.mp4")


def write_features(folder: Path, *, value: float = 0.0) -> None:
    """Write a file of features for a video."""
    import numpy as np

    (folder / "features").mkdir(exist_ok=True)
    np.save(folder / "features" / "a.npy", np.full((9, 4), value, np.float32))


def plug_in(folder: Path) -> None:
    """Write a package whose converter is a text; its folder is on the path."""
    (folder / "bad-1.dist-info").mkdir()
    (folder / "bad-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1\n")
    (folder / "bad-1.dist-info" / "entry_points.txt").write_text("[asl_kit.converters]\nbad = string:digits\n")


def five_videos(folder: Path, *rows: str, label: str = "run", folder_name: str = "videos") -> None:
    """Write what `init` needs: five videos, two classes, and further rows."""
    (folder / folder_name).mkdir()
    own = []
    for number in range(5):
        write_video(folder / folder_name / f"v{number}.mp4", frames=60, size=(48, 48))
        own += [f"v{number},0,2,{label}", f"v{number},3,5,jump"]
    table(folder, *own, *rows, header="video,start,end,label", name="own.csv")


def _scored(command: str) -> str:
    return f"{command} --predictions p.json --annotations a.json"


COMMANDS = {
    "eval": _scored("eval"),
    "report": _scored("report") + " -o r.html",
    "diagnose": _scored("diagnose"),
    "compare": "compare good.json p.json --annotations a.json",
    "submit": _scored("submit --to activitynet") + " -o o.json",
    "check": "check p.json --annotations a.json",
}
RENDERED = {
    "render": "render p.json videos --subtitles out",
    "report without annotations": "report --predictions p.json --videos videos -o r.html",
}
SIX_SECONDS = {"a": [(1.0, 5.5, "run", 0.9), (2.0, 4.0, "run", 0.8)], "b": [(1.0, 5.0, "run", 0.7)]}
MILLISECONDS = "p.json: the times are probably milliseconds, not seconds"
OUTSIDE = "scores are outside [0, 1]"


def _of_predictions() -> list[Case]:
    cases = []
    for name, command in COMMANDS.items():
        milliseconds = MILLISECONDS.removeprefix("p.json: ") if name == "check" else MILLISECONDS
        code = int(name == "check")
        steps = partial(predictions, factor=1000), CONVERT, command
        cases.append(Case(f"times in milliseconds: {name}", steps, code, milliseconds))
        steps = partial(predictions, score=100), CONVERT, command
        cases.append(Case(f"scores out of range: {name}", steps, 0, OUTSIDE))
    for name, command in RENDERED.items():
        make = partial(predictions, rows=SIX_SECONDS, factor=1000)
        cases.append(Case(f"times in milliseconds: {name}", (videos, make, command), 0, MILLISECONDS))
        make = partial(predictions, rows=SIX_SECONDS, score=100)
        cases.append(Case(f"scores out of range: {name}", (videos, make, command), 0, OUTSIDE))
    beyond = {**GOOD, "b": [(140, 188, "run", 0.7)]}
    for name, make, code, message in (
        ("times as fractions", partial(predictions, factor=0.01), 0, "the times are probably fractions of the video"),
        ("times beyond the end", partial(predictions, rows=beyond), 0, "1 of 3 segments end beyond the end of their"),
        ("unknown videos", partial(predictions, prefix="x"), 1, "none of the predicted videos (2) is in the annot"),
        ("videos with v_", partial(predictions, prefix="v_"), 1, "did you mean 'a' for 'v_a'?"),
        ("labels in capitals", partial(predictions, label=str.upper), 1, "did you mean 'drink coffee'?"),
    ):
        cases.append(Case(f"{name}: eval", (make, CONVERT, COMMANDS["eval"]), code, message))
    return cases


def _time(text: str) -> Case:
    steps = (lambda folder: table(folder, f'a,"{text}",90,run,test,100,25')), CONVERT
    return Case(f"the time {text}", steps, 1, "hint: a time is seconds, 83.5, or a clock time, 1:23.5")


CASES = [
    *_of_predictions(),
    Case("a replaced video: extract", (videos, EXTRACT, replace_video, EXTRACT), 1, "made from another file"),
    Case(
        "a replaced file: import-features",
        (write_features, IMPORT, partial(write_features, value=1.0), IMPORT),
        1,
        "made from another file",
    ),
    Case(
        "a replaced video: store verify",
        (videos, EXTRACT, replace_video, "store verify s.zarr --against videos"),
        1,
        "made from another file",
    ),
    Case(
        "a lost video: store verify",
        (write_features, IMPORT, lambda folder: shutil.rmtree(folder / "f.zarr/videos/a"), "store verify f.zarr"),
        1,
        "missing: the ledger records video 'a' as done",
    ),
    Case(
        "a segment beyond the file: convert --videos",
        (
            videos,
            lambda folder: table(folder, "a,1,70,run", header="video,start,end,label"),
            CONVERT + " --videos videos",
        ),
        1,
        "must be within the 6 s of videos/a.mp4",
    ),
    Case(
        "a segment beyond the file: convert, column path",
        (
            videos,
            lambda folder: table(folder, "a,1,70,run,videos/a.mp4", header="video,start,end,label,path"),
            CONVERT,
        ),
        1,
        "must be within the 6 s of videos/a.mp4",
    ),
    Case(
        "a segment beyond the file: init",
        (lambda folder: five_videos(folder, "v1,1,70,run"), INIT),
        1,
        "must be within the 6 s of videos/v1.mp4",
    ),
    Case(
        "thresholds of a challenge on own annotations",
        (predictions, CONVERT, COMMANDS["eval"] + " --protocol ego4d-mq"),
        0,
        "0.1",
    ),
    Case(
        "labels that differ in capitals: convert",
        (lambda folder: table(folder, *ROWS, "b,1,2,Run,,,"), CONVERT),
        0,
        "labels that differ only in capitals, spaces or underscores",
    ),
    Case(
        "intervals of few videos: report",
        (predictions, CONVERT, COMMANDS["report"]),
        0,
        "2 videos are too few for reliable intervals",
        page="r.html",
    ),
    Case("name of a dataset: convert", ("convert activitynet13 gone.json -o o.json",), 2, "gone.json: no such file"),
    Case("name of no dataset: convert", ("convert thumos gone.json -o o.json",), 2, "Did you mean 'thumos14'?"),
    Case(
        "a missing column",
        (lambda folder: table(folder, "a,1,2,run", header="video,begins,end,label"), CONVERT),
        1,
        "--column start=COLUMN",
    ),
    *(_time(text) for text in ("1:75", "00:00:03:12", "1.234,5")),
    Case("a plug-in that is no converter", (plug_in, "convert --list"), 0, "must be a function"),
    Case(
        "narrow tables: init",
        (five_videos, INIT),
        0,
        "optimizer.learning_rate",
        shell="COLUMNS=40 {command}",
    ),
    Case(
        "a locale without accents: init",
        (partial(five_videos, label="sauté", folder_name="vidéos"), INIT.replace("videos", "vidéos")),
        0,
        "saut\\xe9",
        shell="LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii {command}",
    ),
    Case(
        "Ctrl-C: extract",
        (partial(videos, frames=6000), EXTRACT),
        130,
        "run the same command again",
        shell="timeout --preserve-status -s INT 15 {command}",
    ),
    Case(
        "a full disk: train",
        (
            write_features,
            lambda folder: table(folder, "a,0,1,run,train,2,30", "a,1,2,jump,train,2,30", name="own.csv"),
            "convert csv own.csv -o a.json",
            IMPORT,
            "train --annotations a.json --features f.zarr --out run --set optimizer.epochs=1 --set model.width=16",
        ),
        1,
        "cannot be written: File too large",
        shell="ulimit -f 8; {command}",
    ),
    Case(
        "a read-only file system: import-features",
        (write_features, IMPORT, lambda folder: shutil.rmtree(folder / "f.zarr/videos/a"), IMPORT),
        1,
        "video 'a' cannot be written: Read-only file system",
        shell="mount --bind f.zarr/tmp f.zarr/tmp && mount -o remount,bind,ro f.zarr/tmp; {command};"
        " code=$?; umount f.zarr/tmp; exit $code",
    ),
]
