"""ActivityNet 1.3, from `activity_net.v1-3.min.json` (http://activity-net.org/download.html).

The file is one JSON object: `version`, `taxonomy` (a list of nodes with `nodeName`, `nodeId`, `parentName`,
`parentId`: the tree of classes, not needed here) and `database`, as
`asl_kit.annotations.converters.activitynet_json` describes it, with a `resolution` and a `url` for each
video. Ids are YouTube's, without `v_`. The labels of the testing split are withheld: its videos count as
not annotated, though the file gives them empty lists. Segments without length are dropped and those that
end after their video are clipped; the report lists both. Segments given twice stay, as in the official
evaluation.

Relatives of the file are taken too:

- `anet1.3_i3d_filtered.json`, `anet1.3_tsp_filtered.json` of ActionFormer
  (https://github.com/happyharrycn/actionformer_release): the videos that have features, with `label_id`.
- `blocked.json` of OpenTAD (https://github.com/sming256/OpenTAD), a list of ids: videos that are gone from
  YouTube. Give it beside the annotations to leave these videos out, as results on 4,728 validation videos do.
- `anet_anno_action.json` of BSN (https://github.com/wzmsltw/BSN-boundary-sensitive-network, read at f13707f)
  and what MMAction2 makes of it: `{"v_ID": {"duration_second", "duration_frame", "annotations",
  "feature_frame"}}`, without splits. Those are in `video_info_new.csv` of the same folder
  (`video,numFrame,seconds,fps,rfps,subset,featureFrame`), which must be given as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from asl_kit.annotations.converters.activitynet_json import checked, convert_published
from asl_kit.annotations.converters.csv_table import read_rows
from asl_kit.annotations.report import ConversionReport
from asl_kit.annotations.schema import AnnotationSet
from asl_kit.base.files import read_json
from asl_kit.errors import AnnotationError
from asl_kit.manifests.schema import Manifest

_BSN_PREFIX = "v_"
_BSN_KEYS = {"duration_second": "duration", "duration_frame": "frames"}
"""Keys of BSN's files by which these mean the same as those of ActivityNet."""
_BLOCKED = "gone from YouTube: in the list of blocked videos"


def convert(sources: Sequence[Path], *, manifest: Manifest | None, report: ConversionReport) -> AnnotationSet:
    """Convert the JSON file of ActivityNet 1.3, or a relative of it.

    Raises
    ------
    MissingFileError
        If a file does not exist.
    AnnotationError
        If a file is none of the layouts of ActivityNet.
    """
    return convert_release(sources, dataset="activitynet13", converter="activitynet", manifest=manifest, report=report)


def convert_release(
    sources: Sequence[Path], *, dataset: str, converter: str, manifest: Manifest | None, report: ConversionReport
) -> AnnotationSet:
    """Convert the files of one release of ActivityNet.

    Parameters
    ----------
    sources : sequence of Path
        JSON files of annotations, lists of blocked videos, and BSN's table of videos, in any order.
    dataset, converter : str
        Names for the record.
    manifest : Manifest or None
        Facts of the release.
    report : ConversionReport
        Is told of everything left out, mended or dropped.

    Raises
    ------
    MissingFileError
        If a file does not exist.
    AnnotationError
        If a file is none of the layouts of ActivityNet.
    """
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
        converter=converter,
        manifest=manifest,
        report=report,
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
        raise AnnotationError(f"{path}: a list, but not one of the ids of blocked videos")
    return ids


def _database(document: object, stated: Mapping[str, Mapping[str, str]], path: Path) -> dict[str, Any]:
    """Return the videos of a file in ActivityNet's layout, whichever of the two it has."""
    if not isinstance(document, dict) or not any(
        isinstance(entry, dict) and "duration_second" in entry for entry in document.values()
    ):
        database: dict[str, Any] = checked(document, path)["database"]
        return database
    database = {}
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
    """Return the videos that are not blocked; the others are reported, segment by segment."""
    for video_id in sorted(blocked & database.keys()):
        report.videos_read += 1
        report.exclude("video", video_id, str(path), _BLOCKED)
        entry = database[video_id]
        annotations = entry.get("annotations") if isinstance(entry, dict) else None
        for number, _ in enumerate(annotations if isinstance(annotations, list) else ()):
            report.segments_read += 1
            report.exclude("segment", video_id, str(path), f"annotations.{number}: {_BLOCKED}")
    return {video_id: entry for video_id, entry in database.items() if video_id not in blocked}
