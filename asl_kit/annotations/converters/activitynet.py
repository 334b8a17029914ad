"""ActivityNet 1.3, from `activity_net.v1-3.min.json` (http://activity-net.org/download.html).

The file is one JSON object: `version`, `taxonomy` (a list of nodes with `nodeName`, `nodeId`, `parentName`,
`parentId`: the tree of classes, not needed here) and `database`, as
`asl_kit.annotations.converters.activitynet_json` describes it, with a `resolution` and a `url` for each
video. Ids are YouTube's, without `v_`. The labels of the testing split are withheld: its videos count as
not annotated, although the file gives them empty lists. Segments without length are dropped, and segments that
end after their video are clipped; the report lists both. Duplicate segments are kept, as in the official
evaluation.

These variants of the file are accepted too:

- `anet1.3_i3d_filtered.json`, `anet1.3_tsp_filtered.json` of ActionFormer
  (https://github.com/happyharrycn/actionformer_release): the videos that have features, with `label_id`.
- `blocked.json` of OpenTAD (https://github.com/sming256/OpenTAD), a list of ids: videos that are no longer on
  YouTube. Give it with the annotations to exclude these videos, as results on 4,728 validation videos do.
- `anet_anno_action.json` of BSN (https://github.com/wzmsltw/BSN-boundary-sensitive-network, read at f13707f)
  and the file that MMAction2 derives from it: `{"v_ID": {"duration_second", "duration_frame", "annotations",
  "feature_frame"}}`, without splits. The splits are in `video_info_new.csv` of the same folder
  (`video,numFrame,seconds,fps,rfps,subset,featureFrame`), which must be given as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from asl_kit.annotations.converters.activitynet_json import annotations_of, check_database, convert_published
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.annotations.tables import read_rows
from asl_kit.base.files import read_json
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_BSN_PREFIX = "v_"
_BSN_KEYS = {"duration_second": "duration", "duration_frame": "frames"}
"""ActivityNet's key for each key of BSN's files."""
_BLOCKED = "gone from YouTube: in the list of blocked videos"


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the JSON file of ActivityNet 1.3, or a variant of it."""
    return convert_release(sources, dataset="activitynet13", converter="activitynet", manifest=manifest, report=report)


def convert_release(
    sources: Sequence[Path],
    *,
    dataset: str,
    manifest: Manifest | None,
    report: ConversionReport,
    converter: str | None = None,
) -> AnnotationSet:
    """Convert one release: annotations, lists of blocked videos and BSN's table, in any order."""
    documents = {path: read_json(path, AnnotationError) for path in sources if not _is_table(path)}
    stated = {video_id: facts for path in filter(_is_table, sources) for video_id, facts in _read_table(path)}
    blocked = {
        video_id
        for path, document in documents.items()
        if isinstance(document, list)
        for video_id in _checked_ids(document, path)
    }
    databases = {
        path: _database(document, stated, path)
        for path, document in documents.items()
        if not isinstance(document, list)
    }
    found = set().union(*databases.values())
    for ids, place in ((blocked, "lists of blocked videos"), (stated.keys(), "tables")):
        if unknown := len(ids - found):
            report.note(f"{unknown} ids in {place} are not among the annotations")
    return convert_published(
        sources,
        dataset=dataset,
        manifest=manifest,
        report=report,
        converter=converter,
        read=lambda path: {"database": _without(blocked, databases.get(path, {}), path, report)},
    )


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == ".csv"


def _read_table(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield id and facts of each video of BSN's table."""
    for _, row in read_rows(path, required=("video", "subset"), optional=("fps",), others=True):
        facts = {name: row[name] for name in ("subset", "fps") if row.get(name)}
        yield row["video"].removeprefix(_BSN_PREFIX), facts


def _checked_ids(document: list[object], path: Path) -> list[str]:
    ids = [video_id for video_id in document if isinstance(video_id, str)]
    if len(ids) < len(document):
        raise AnnotationError(f"{path}: expected a list of the ids of blocked videos, found a list of other values")
    return ids


def _database(document: object, stated: Mapping[str, Mapping[str, str]], path: Path) -> dict[str, Any]:
    """Return the videos of a file in ActivityNet's or in BSN's layout, in ActivityNet's layout."""
    if not isinstance(document, dict) or not any(
        isinstance(entry, dict) and "duration_second" in entry for entry in document.values()
    ):
        return dict(check_database(document, path)["database"])
    database: dict[str, Any] = {}
    for name, entry in document.items():
        video_id = name.removeprefix(_BSN_PREFIX)
        if video_id in database:
            raise AnnotationError(f"{path}: video {video_id!r} is given twice, with and without {_BSN_PREFIX!r}")
        if isinstance(entry, dict):
            entry = {**stated.get(video_id, {}), **{_BSN_KEYS.get(key, key): value for key, value in entry.items()}}
            if "subset" not in entry:
                raise AnnotationError(
                    f"{path}: video {video_id!r}: the subset is missing",
                    hint="Give BSN's video_info_new.csv as well: it has the subset of every video.",
                )
        database[video_id] = entry
    return database


def _without(blocked: Set[str], database: Mapping[str, Any], path: Path, report: ConversionReport) -> dict[str, Any]:
    """Return the videos that are not blocked; the report lists the others and their segments as excluded."""
    for video_id in sorted(blocked & database.keys()):
        report.videos_read += 1
        report.exclude("video", video_id, str(path), _BLOCKED)
        for number, _ in enumerate(annotations_of(database[video_id])):
            report.segments_read += 1
            report.exclude("segment", video_id, str(path), f"annotations.{number}: {_BLOCKED}")
    return {video_id: entry for video_id, entry in database.items() if video_id not in blocked}
