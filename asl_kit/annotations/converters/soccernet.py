"""SoccerNet: points in time of 17 kinds of events in football games, or of 12 kinds of actions with the ball.

The labels (https://www.soccer-net.org, package SoccerNet: `Labels-v2.json` of each game) are JSON: ``{"UrlLocal":
"england_epl/2014-2015/GAME/", "annotations": [{"gameTime": "1 - 00:07", "label", "position": "7450", "team",
"visibility"}]}``. `gameTime` names the half and the minute, and `position` is the time in milliseconds from the start
of the half's own video. `Labels-ball.json` is the same for ball action spotting (2 classes in 2023, 12 since 2024; read
in github.com/SoccerNet/sn-spotting at 9842826, and the classes and videos of the baselines of both years,
github.com/lRomul/ball-action-spotting and github.com/recokick/ball-action-spotting).

Give the files, or a folder with games. How they are converted:

- Each half is a video: its id is `UrlLocal` and the half, `england_epl/2014-2015/GAME/1`, and its path that of the
  published file, `england_epl/2014-2015/GAME/1_224p.mkv`. A half without events does not appear. Since 2024 a game of
  ball action spotting is one video, `GAME/224p.mp4`, with all its events in half 1.
- An event is a point in time, and a segment needs a length: state it with `--point-window BEFORE[,AFTER]`. The point
  in seconds is the attribute `point`. Without `position`, as in version 1, it is the minute of `gameTime`.
- `team` and `visibility` are attributes; events that are not shown are kept.
- The split is that of a folder `train`, `valid` or `test` among the sources, or in them; without one, that of
  SoccerNet's lists of games for ball action spotting, and `train` for others.
- The classes are in SoccerNet's order, if the files have no others; otherwise sorted.
- Durations are not stated: add a table `video,duration[,fps]`, or a half ends with the last window.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asl_kit.annotations.collector import ACTION, Collector, as_number, number_from_text
from asl_kit.annotations.point_window import PointWindow, required
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import find_sources
from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.annotations.video_facts import DURATION_HINT, read_facts, state_facts
from asl_kit.base.files import read_json
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

CLASSES = (
    "Penalty", "Kick-off", "Goal", "Substitution", "Offside", "Shots on target", "Shots off target", "Clearance",
    "Ball out of play", "Throw-in", "Foul", "Indirect free-kick", "Direct free-kick", "Corner", "Yellow card",
    "Red card", "Yellow->red card",
)  # fmt: skip
"""The classes of Labels-v2.json, in the order of EVENT_DICTIONARY_V2 of the package SoccerNet."""
BALL_CLASSES = (
    "PASS", "DRIVE", "HEADER", "HIGH PASS", "OUT", "CROSS", "THROW IN", "SHOT", "BALL PLAYER BLOCK",
    "PLAYER SUCCESSFUL TACKLE", "FREE KICK", "GOAL",
)  # fmt: skip
"""The classes of Labels-ball.json, in the order of the baseline of 2024; those of 2023 are the first two."""
BALL_SPLITS = {
    "2019-10-01 - Blackburn Rovers - Nottingham Forest": "train",
    "2019-10-01 - Brentford - Bristol City": "train",
    "2019-10-01 - Hull City - Sheffield Wednesday": "train",
    "2019-10-01 - Leeds United - West Bromwich": "train",
    "2019-10-01 - Middlesbrough - Preston North End": "val",
    "2019-10-01 - Reading - Fulham": "test",
    "2019-10-01 - Stoke City - Huddersfield Town": "test",
}
"""Split by the name of a game, as in BallTrain.json, BallValid.json and BallTest.json of the package SoccerNet."""
_BALL = "Labels-ball.json"
ATTRIBUTES = ("team", "visibility")
_SPLITS = {"train": "train", "valid": "val", "test": "test"}
"""Split by the name of a folder."""
_GAME_TIME = re.compile(r"([1-9])\s*-\s*([0-9]{1,3}):([0-9]{2})")


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    point_window: PointWindow | None = None,
) -> AnnotationSet:
    """Convert the labels of games."""
    games, tables = find_sources(sources, ["Labels-v2.json", _BALL], beside=["*.json"])
    window = required(point_window, "SoccerNet's events")
    collector = Collector(report, mend=True, manifest=manifest, duration_hint=DURATION_HINT, point_window=window)
    labels: set[str] = set()
    for path in games:
        _collect(collector, path, labels, split=_split_of(path, sources))
    state_facts(collector, read_facts(collector, tables, table))
    known = (CLASSES, BALL_CLASSES[:2], BALL_CLASSES)
    classes = next((list(names) for names in known if labels <= {*names}), sorted(labels))
    return collector.finish(
        [*games, *tables], dataset="soccernet", vocabularies=None if manifest else {ACTION: classes}
    )


def _read(path: Path) -> dict[str, Any]:
    document = read_json(path, AnnotationError)
    if not isinstance(document, dict) or not isinstance(document.get("annotations"), list):
        raise AnnotationError(
            f'{path}: expected {{"UrlLocal": GAME, "annotations": [{{"gameTime", "label", "position"}}]}}'
        )
    return document


def _collect(collector: Collector, path: Path, labels: set[str], *, split: str | None) -> None:
    """Pass the events of a game to the collector, and add their labels."""
    document = _read(path)
    url = document.get("UrlLocal")
    game = (url if isinstance(url, str) else "").replace("\\", "/").strip("/") or path.resolve().parent.name
    split = split or BALL_SPLITS.get(game.rpartition("/")[2])
    halves = {str(event.get("gameTime")).strip()[:1] for event in document["annotations"] if isinstance(event, dict)}
    is_whole = path.name == _BALL and halves == {"1"}
    for number, event in enumerate(document["annotations"]):
        where = f"{path}: annotations.{number}"
        match = _GAME_TIME.fullmatch(str(event.get("gameTime")).strip()) if isinstance(event, dict) else None
        label = event.get("label") if isinstance(event, dict) else None
        if match is None or not (isinstance(label, str) and label):
            collector.error(where, f'expected {{"gameTime": "1 - 00:07", "label": CLASS, ...}}, found {event!r:.80}')
            continue
        half, minutes, seconds = match.groups()
        video_id = f"{game}/{half}"
        video = f"{game}/224p.mp4" if is_whole else f"{game}/{half}_224p.mkv"
        collector.video(video_id, str(path), split=split, path=video, annotated=True)
        labels.add(label)
        collector.point(
            video_id,
            where,
            time=_time(event.get("position"), int(minutes) * 60 + int(seconds)),
            labels={ACTION: label},
            attributes={name: event[name] for name in ATTRIBUTES if event.get(name)},
        )


def _split_of(path: Path, sources: Sequence[Path]) -> str | None:
    """Return the split that a folder among the sources states, or one in it, on the way to a file."""
    folders = [source for source in sources if source.is_dir() and path.is_relative_to(source)]
    parts = [part for folder in folders for part in (folder.resolve().name, *path.relative_to(folder).parts)]
    return next((_SPLITS[part] for part in parts if part in _SPLITS), None)


def _time(position: object, game_time_s: int) -> object:
    """Return the time of an event in seconds, or its position if that is no number."""
    if position is None:
        return game_time_s
    number = as_number(number_from_text(position) if isinstance(position, str) else position)
    return position if number is None else number / 1000
