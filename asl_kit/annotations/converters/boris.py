"""Annotations made with BORIS: its project file (.boris), and its exports of events (TSV, CSV, XLSX).

The layout (https://boris.readthedocs.io; read in version 8.27.4 of boris-behav-obs, export_observation.py,
export_events.py, project_functions.py and write_event.py, and for older exports in tests/files of
github.com/olivierfriard/BORIS): an observation has players, each with a queue of media (`file`), whose `length` and
`fps` are in `media_info`. Events are `[time, subject, code, modifiers, comment, ...]`; `behaviors_conf` tells point
from state events. A state event is coded twice, when it starts and when it stops. The exports repeat facts of the
observation in each row: `Source` (older: `Media file`), `Media duration (s)` (older: `Total length`). Aggregated rows
have `Start (s)` and `Stop (s)`, tabular rows a `Time`, and START, STOP or POINT as `Behavior type` (older: `Status`).
Older tabular exports state the observation and its media above the header.

How it is converted:

- The times are the observation's: those of the media of the first player, one after the other, plus the time offset.
  They are converted to times of the video, whose id is the name of its file without suffix. A state that goes over from
  one medium to the next gives a segment in each, and the report says so. Other players run beside the first one;
  their media are not converted, and noted.
- If an observation has several media, their durations must be known: from the project, the export, or a table
  `video,duration` among the sources (`asl_kit.annotations.video_facts`), which counts first.
- If the creation time of the media is an offset too (`media_creation_date_as_offset`), it is subtracted for one medium;
  with several, a project is refused.
- A state event is a segment of the class of its behavior; the same behavior of another subject or with other modifiers
  is another event, as in BORIS. `subject`, `modifiers` and `category` are attributes of the segment. A start without
  a stop is refused.
- A tier is a behavioral category; behaviors without one are on the tier "Not defined", as BORIS calls it.
- Point events are points in time (`asl_kit.annotations.point_window`): without a window they are excluded and
  reported. So is what was observed live or on pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asl_kit.annotations.collector import Collector, as_number, number_from_text
from asl_kit.annotations.point_window import PointWindow
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.sources import dataset_name, find_files
from asl_kit.annotations.tables import DEFAULT_TABLE, Table, TableOptions, read_cells
from asl_kit.annotations.tiers import ALL_TIERS, TierChoice, TierOptions
from asl_kit.annotations.video_facts import DURATION_HINT, VideoFacts, read_facts, state_facts
from asl_kit.annotations.video_names import id_from
from asl_kit.annotations.workbooks import read_workbook
from asl_kit.base.files import read_json
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_NO_CATEGORY = "Not defined"
_FIRST_CELL = "Observation id"
"""The first cell of every export."""
_LIVE = "observed live or on pictures, without a video"
_NO_MEDIUM = "no medium on player 1"
_TOTAL_TOLERANCE_S = 0.5
_SPILL_S = 0.001
"""BORIS rounds times to milliseconds: an event may seem to end this much after its medium."""


def convert(
    sources: Sequence[Path],
    *,
    manifest: Manifest | None,
    report: ConversionReport,
    table: TableOptions = DEFAULT_TABLE,
    tiers: TierOptions = ALL_TIERS,
    point_window: PointWindow | None = None,
) -> AnnotationSet:
    """Convert projects and exports of BORIS, or folders of them."""
    files = find_files(sources, ["*.boris", "*.tsv", "*.csv", "*.xlsx"])
    exports = {
        path: cells
        for path in files
        if path.suffix.lower() != ".boris" and (cells := _read_cells(path, table)).columns[0] == _FIRST_CELL
    }
    tables = [path for path in files if path.suffix.lower() != ".boris" and path not in exports]
    if len(tables) == len(files):
        raise AnnotationError(f"{files[0]}: not an export of BORIS: expected a first column {_FIRST_CELL!r}")
    collector = Collector(report, mend=False, manifest=manifest, duration_hint=DURATION_HINT, point_window=point_window)
    facts = read_facts(collector, tables, table if tables else DEFAULT_TABLE)
    choice = TierChoice(tiers, collector)
    for path in files:
        if path not in tables:
            found = _read_export(path, exports[path]) if path in exports else _read_project(path)
            for observation in found:
                _Collection(collector, choice, facts, observation).collect()
    choice.check()
    state_facts(collector, facts)
    return collector.finish(files, dataset=dataset_name(sources, "boris"), converter="boris")


def _read_cells(path: Path, options: TableOptions) -> Table:
    if path.suffix.lower() == ".xlsx":
        return read_workbook(path)
    return read_cells(path, "of BORIS, or video,duration", options)


@dataclass(frozen=True, slots=True)
class _Event:
    """One event, or one state event with its end."""

    where: str
    kind: str
    """START, STOP or POINT; STATE: with its end."""
    time_s: float
    end_s: float
    behavior: str
    subject: str
    modifiers: str
    category: str


@dataclass(slots=True)
class _Observation:
    """An observation as it was read."""

    where: str
    name: str
    media: list[str]
    """Of the first player; without any, the observation is excluded."""
    others: int = 0
    """Number of media of other players."""
    offset_s: float = 0.0
    durations_s: dict[str, float] = field(default_factory=dict)
    fps: dict[str, float] = field(default_factory=dict)
    events: list[_Event] = field(default_factory=list)
    total_s: float | None = None
    """Duration of all media together, where an export states no other."""
    without_media: str = _LIVE
    """Why there are none, if there are none."""


class _Collection:
    """One observation while it is collected."""

    def __init__(
        self, collector: Collector, choice: TierChoice, facts: Mapping[str, VideoFacts], observation: _Observation
    ) -> None:
        self._collector = collector
        self._choice = choice
        self._observation = observation
        self._videos: list[tuple[str, float | None]] = []
        """Id and duration of each medium of the first player."""
        for medium in observation.media:
            video_id = id_from(medium) or medium
            fact = facts.get(video_id)
            duration_s = observation.durations_s.get(medium)
            if fact is not None and fact.duration_s is not None:
                duration_s = fact.duration_s
            self._videos.append((video_id, duration_s))
            rate = None if fact and fact.fps else observation.fps.get(medium)
            collector.video(video_id, observation.where, duration=duration_s, fps=rate, annotated=True)

    def collect(self) -> None:
        """Pass all events to the collector."""
        observation = self._observation
        if observation.others:
            count = observation.others
            self._collector.report.note(f"{observation.where}: {count} media of further players are not converted")
        unknown = [video_id for video_id, duration_s in self._videos if duration_s is None]
        if len(self._videos) > 1 and unknown:
            text = f"duration: not stated, but needed, as the observation has several media{DURATION_HINT}"
            for video_id in unknown:
                self._collector.error(observation.where, text, video_id=video_id)
            return
        if not self._videos:
            report = self._collector.report
            report.videos_read += 1
            report.exclude("video", observation.name, observation.where, observation.without_media)
            for event in observation.events:
                self._collector.exclude(observation.name, event.where, observation.without_media)
            return
        total_s = sum(duration_s or 0.0 for _, duration_s in self._videos)
        if observation.total_s is not None and abs(total_s - observation.total_s) > _TOTAL_TOLERANCE_S:
            text = f"its media with events last {total_s:g} s, but the observation {observation.total_s:g} s"
            self._collector.error(observation.where, f"{text}: use BORIS's project file, which names all media")
        started: dict[tuple[str, str, str], _Event] = {}
        for event in sorted(observation.events, key=lambda event: event.time_s):
            key = (event.behavior, event.subject, event.modifiers)
            if event.kind == "START" and key not in started:
                started[key] = event
            elif event.kind == "STOP" and key in started:
                start = started.pop(key)
                self._collect_event(start, event.time_s)
            elif event.kind == "STATE":
                self._collect_event(event, event.end_s)
            elif event.kind == "POINT":
                self._collect_event(event, event.time_s)
            else:
                self._error(
                    event, f"{event.kind}: the state {'has not started' if event.kind == 'STOP' else 'runs already'}"
                )
        for event in started.values():
            self._error(event, "START: the state does not stop; fix unpaired events in BORIS")

    def _error(self, event: _Event, text: str) -> None:
        self._collector.error(event.where, f"behavior {event.behavior!r}, {text}", video_id=self._videos[0][0])

    def _collect_event(self, event: _Event, end_s: float) -> None:
        vocabulary = self._choice.vocabulary(event.category, video_id=self._videos[0][0], where=event.where)
        if vocabulary is None:
            return
        parts = self._parts(event.time_s - self._observation.offset_s, end_s - self._observation.offset_s)
        stated = {"subject": event.subject, "modifiers": event.modifiers, "category": event.category}
        attributes = {name: value for name, value in stated.items() if value not in ("", _NO_CATEGORY)}
        labels = {vocabulary: event.behavior}
        for video_id, from_s, to_s in parts:
            if event.kind == "POINT":
                self._collector.point(video_id, event.where, time=from_s, labels=labels, attributes=attributes)
                continue
            self._collector.segment(video_id, event.where, start=from_s, end=to_s, labels=labels, attributes=attributes)
            if len(parts) > 1:
                text = f"part of a state over {len(parts)} media of the observation"
                self._collector.report.change("segment", video_id, event.where, text)

    def _parts(self, start_s: float, end_s: float) -> list[tuple[str, float, float]]:
        """Return the stretches of media that a stretch of the observation consists of; there is at least one."""
        parts: list[tuple[str, float, float]] = []
        begins_s = 0.0
        for video_id, duration_s in self._videos[:-1]:
            ends_s = begins_s + (duration_s or 0.0)
            is_whole = not parts and start_s < ends_s and end_s - start_s <= _SPILL_S
            if is_whole or min(end_s, ends_s) - start_s > _SPILL_S:
                parts.append((video_id, _rounded(start_s - begins_s), _rounded(min(end_s, ends_s) - begins_s)))
                start_s = max(start_s, ends_s)
            begins_s = ends_s
        if end_s - start_s > _SPILL_S or not parts:
            parts.append((self._videos[-1][0], _rounded(start_s - begins_s), _rounded(end_s - begins_s)))
        return parts


def _rounded(time_s: float) -> float:
    """Return a time in whole microseconds: sums of milliseconds are not exact."""
    return round(time_s, 6)


def _read_project(path: Path) -> Iterator[_Observation]:
    document = read_json(path, AnnotationError)
    observations = document.get("observations") if isinstance(document, dict) else None
    behaviors = document.get("behaviors_conf") if isinstance(document, dict) else None
    if not (isinstance(observations, dict) and isinstance(behaviors, dict)):
        raise AnnotationError(f"{path}: not a project of BORIS: expected the tables observations and behaviors_conf")
    coded = [found for found in behaviors.values() if isinstance(found, dict)]
    kinds = {str(found.get("code")): str(found.get("type", "")).lower() for found in coded}
    categories = {str(found.get("code")): str(found.get("category") or _NO_CATEGORY) for found in coded}
    for name, entry in observations.items():
        where = f"{path}: observation {name!r}"
        is_known = isinstance(entry, dict) and isinstance(entry.get("events"), list)
        if not is_known:
            raise AnnotationError(f"{where}: must be a table with a list of events, found {entry!r:.60}")
        players = entry.get("file") if isinstance(entry.get("file"), dict) else {}
        listed = [queue if isinstance(queue, list) else [queue] for _, queue in sorted(players.items())]
        if not all(isinstance(medium, str | None) for queue in listed for medium in queue):
            raise AnnotationError(f"{where}: file: must be a list of media for each player, found {players!r:.80}")
        queues = [[medium for medium in queue if medium] for queue in listed]
        info = entry.get("media_info") if isinstance(entry.get("media_info"), dict) else {}
        is_video = entry.get("type", "MEDIA") == "MEDIA"
        observation = _Observation(
            where,
            name,
            queues[0] if queues and is_video else [],
            sum(map(len, queues[1:])),
            as_number(entry.get("time offset")) or 0.0,
            _numbers(info.get("length")),
            _numbers(info.get("fps")),
            without_media=_NO_MEDIUM if is_video else _LIVE,
        )
        if entry.get("media_creation_date_as_offset") is True and observation.media:
            created = list(_numbers(info.get("media_creation_time")).values())
            if len(observation.media) > 1 or len(created) != 1:
                text = "media_creation_date_as_offset: its times are dates; expected one medium and its creation time"
                raise AnnotationError(f"{where}: {text}", hint="Give each medium an observation.")
            observation.offset_s += created[0]
        running: set[tuple[str, str, str]] = set()
        for number, event in enumerate(entry["events"], start=1):
            place = f"{where}, event {number}"
            time_s = as_number(event[0]) if isinstance(event, list) and len(event) >= 4 else None
            if isinstance(event, list) and not observation.media:
                time_s = 0.0  # of a picture: it is left out
            if time_s is None or not all(isinstance(value, str) for value in event[1:4]):
                raise AnnotationError(f"{place}: must be [time, subject, code, modifiers, ...], found {event!r:.60}")
            subject, code, modifiers = event[1:4]
            if code not in kinds:
                raise AnnotationError(f"{place}: behavior {code!r:.40} is not in the ethogram (behaviors_conf)")
            kind = "POINT" if kinds[code].startswith("point") else "START"
            if kind == "START":
                kind = "STOP" if (code, subject, modifiers) in running else "START"
                running ^= {(code, subject, modifiers)}
            observation.events.append(_Event(place, kind, time_s, time_s, code, subject, modifiers, categories[code]))
        yield observation


def _numbers(table: object) -> dict[str, float]:
    """Return the numbers above 0 in a table."""
    found = {name: as_number(value) for name, value in table.items()} if isinstance(table, dict) else {}
    return {name: number for name, number in found.items() if number is not None and number > 0}


def _read_export(path: Path, table: Table) -> list[_Observation]:
    """Return the observations of an export, which has a header in its first row or below what it says of one."""
    rows = [(table.line, table.columns), *table.rows]
    head = next((place for place, (_, row) in enumerate(rows) if "Behavior" in row and _is_header(row)), None)
    if head is None:
        raise AnnotationError(
            f"{path}: not an export of events of BORIS: expected the columns Behavior, and Time or Start (s)",
            hint="In BORIS: Observations > Export events > Aggregated events, or Tabular events.",
        )
    columns = rows[head][1]
    above = [(row[0], row[1].strip()) for _, row in rows[:head] if len(row) > 1]
    facts = dict(above)
    players = [(name, medium) for name, medium in above if name.startswith("Player #") and medium]
    queue = [medium for name, medium in players if name == "Player #1"]
    for line, row in rows[:head]:
        if any(row[2:]):
            raise AnnotationError(f"{path}:{line}: {len(row)} cells above the header, which is in line {rows[head][0]}")
    observations: dict[str, _Observation] = {}
    below = rows[head + 1 :]
    clock = columns.index("Start (s)" if "Start (s)" in columns else "Time")
    below.sort(key=lambda row: as_number(table.seconds(row[1][clock])) or 0.0 if len(row[1]) > clock else 0.0)
    for line, row in below:
        where = f"{path}:{line}"
        if len(row) != len(columns):
            raise AnnotationError(f"{where}: {len(row)} cells, expected {len(columns)} as in the header")
        cells = facts | dict(zip(columns, row, strict=True))
        name = cells[_FIRST_CELL]
        observation = observations.get(name)
        if observation is None:
            observation = observations[name] = _observation(f"{path}: observation {name!r}", name, cells, queue)
            observation.others += len(players) - len(queue)
        if not (cells.get("Source") or queue):  # older: the medium of this event
            names = ("Media file", "Media file path", "Media file name")
            medium = next((cells[column] for column in names if cells.get(column)), "")
            observation.media += [medium] if medium not in (*observation.media, "", "LIVE") else []
            observation.total_s = _numbers({"": number_from_text(cells.get("Total length", ""))}).get("")
        observation.events.append(_event(where, cells, table, has_video=bool(observation.media)))
    for observation in observations.values():
        if len(observation.media) == 1 and observation.total_s is not None:
            observation.durations_s = {observation.media[0]: observation.total_s}
    return list(observations.values())


def _is_header(row: Sequence[str]) -> bool:
    is_tabular = "Time" in row and ("Behavior type" in row or "Status" in row)
    return is_tabular or {"Start (s)", "Stop (s)", "Behavior type"} <= set(row)


def _observation(where: str, name: str, cells: Mapping[str, str], queue: Sequence[str]) -> _Observation:
    offset_s = as_number(number_from_text(cells.get("Time offset (s)", "") or "0")) or 0.0
    is_media = "Media file(s)" in cells or cells.get("Observation type", "").startswith("Media file")
    if not cells.get("Source"):
        without_media = _NO_MEDIUM if is_media else _LIVE
        return _Observation(where, name, list(queue), offset_s=offset_s, without_media=without_media)
    if not cells["Source"].startswith("player #"):
        if is_media:
            raise AnnotationError(f"{where}: Source: must be player #1:FILE, found {cells['Source']!r:.60}")
        return _Observation(where, name, [], offset_s=offset_s)
    queues = [part.partition(":")[2] for part in cells["Source"].split("|")]
    players = [queue.split(";") if queue else [] for queue in queues]
    lengths = cells.get("Media duration (s)", "").partition("|")[0].split(";")
    rates = cells.get("FPS (frame/s)", cells.get("FPS", "")).partition("|")[0].split(";")
    return _Observation(
        where,
        name,
        players[0],
        sum(map(len, players[1:])),
        offset_s,
        _numbers(dict(zip(players[0], map(number_from_text, lengths), strict=False))),
        _numbers(dict(zip(players[0], map(number_from_text, rates), strict=False))),
        without_media=_NO_MEDIUM,
    )


def _event(where: str, cells: Mapping[str, str], table: Table, *, has_video: bool) -> _Event:
    kind = cells.get("Behavior type", cells.get("Status", "")).upper()
    begin = "Start (s)" if "Start (s)" in cells else "Time"
    end = "Stop (s)" if begin == "Start (s)" and kind == "STATE" else begin
    times_s = [as_number(table.seconds(cells[name])) if has_video else 0.0 for name in (begin, end)]
    expected = ("STATE", "POINT") if begin == "Start (s)" else ("START", "STOP", "POINT")
    if None in times_s or kind not in expected or not cells["Behavior"]:
        text = (
            f"must have a Behavior, a time and {' or '.join(expected)}, found {[cells[begin], cells[end], kind]!r:.80}"
        )
        raise AnnotationError(f"{where}: {text}")
    modifiers = [value for name, value in cells.items() if name.startswith("Modifier") and value]
    category = cells.get("Behavioral category") or _NO_CATEGORY
    subject = cells.get("Subject", "")
    if subject == "No focal subject":
        subject = ""
    start_s, end_s = (time_s or 0.0 for time_s in times_s)
    return _Event(where, kind, start_s, end_s, cells["Behavior"], subject, "|".join(modifiers), category)
