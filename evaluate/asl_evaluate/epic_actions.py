"""Actions of EPIC-KITCHENS-100: detections whose class is a verb and a noun.

An action is a detection with the label ``VERB,NOUN`` (``wash,cup``). Actions are read from the
challenge's own JSON, from an ActivityNet detection JSON with such labels, or made from two files,
one with detections of verbs and one with nouns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from asl_kit.annotations.tables import DEFAULT_TABLE, TableOptions
from asl_kit.detections.json_format import read_predictions, refuse_table_options
from asl_kit.detections.json_reader import EntryFile, EntryFormat, read_entries
from asl_kit.detections.table import JOINT, Detections
from asl_kit.errors import MissingFileError, PredictionError, UsageError, error_context
from asl_kit.metrics import temporal_iou

VOCABULARIES = ("verb", "noun")
MIN_PAIR_TIOU = 0.5
ACTIONS_PER_VIDEO = 2000
"""Pairs of a verb and a noun that are kept of each video; as many as ActionFormer keeps detections."""
PAIRS_AT_ONCE = 1 << 18
"""Limits the memory."""
_EPIC_FIELD = re.compile(rb'"(?:verb|noun|sls_pt)"\s*:\s*[^\s\[{]')
_BYTES_LOOKED_AT = 1 << 16


def action_label(verb: str, noun: str) -> str:
    """Return the label of an action."""
    return f"{verb}{JOINT}{noun}"


def split_labels(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the verb and the noun of each label.

    Raises
    ------
    PredictionError
        If a label is not ``VERB,NOUN``.
    """
    pairs = []
    for name in names:
        verb, joint, noun = name.partition(JOINT)
        if not joint:
            raise PredictionError(
                f"class '{name}' is not an action: expected a verb and a noun, as in 'wash{JOINT}cup'",
                hint="give a file of verbs and one of nouns; to score only verbs, add --vocabulary verb",
            )
        pairs.append((verb, noun))
    return pairs


class _Entry(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    verb: int
    noun: int
    action: str
    score: float
    segment: tuple[float, float]


class _File(EntryFile):
    version: msgspec.Raw = msgspec.Raw()
    challenge: msgspec.Raw = msgspec.Raw()
    sls_pt: msgspec.Raw = msgspec.Raw()
    sls_tl: msgspec.Raw = msgspec.Raw()
    sls_td: msgspec.Raw = msgspec.Raw()


class _Labels(dict[tuple[int, int, str], str]):
    """Labels of actions by verb, noun and action; each combination is checked when it first occurs."""

    def __init__(self, verbs: Sequence[str], nouns: Sequence[str]) -> None:
        self.verbs, self.nouns = verbs, nouns

    def __missing__(self, key: tuple[int, int, str]) -> str:
        verb, noun, action = key
        for field, number, classes in (("verb", verb, self.verbs), ("noun", noun, self.nouns)):
            if not 0 <= number < len(classes):
                raise ValueError(f"{field}: expected a class in [0, {len(classes)}), found {number}")
        if action.replace(" ", "") != f"{verb},{noun}":
            raise ValueError(f"action: expected its verb and noun, '{verb},{noun}', found '{action}'")
        self[key] = label = action_label(self.verbs[verb], self.nouns[noun])
        return label

    def of(self, entries: Sequence[_Entry]) -> list[str]:
        """Return the label of each entry, or raise a `ValueError` that names the faulty field."""
        return [self[entry.verb, entry.noun, entry.action] for entry in entries]


def _format(verbs: Sequence[str], nouns: Sequence[str]) -> EntryFormat:
    """Return the challenge's format, whose files may have further fields."""
    return EntryFormat(
        entry=_Entry,
        expected={
            "verb": "a whole number",
            "noun": "a whole number",
            "action": "'VERB_ID,NOUN_ID'",
            "score": "a number",
            "segment": "two numbers [start, end]",
        },
        labels=_Labels(verbs, nouns).of,
        file=_File,
        hint='expected {"results": {VIDEO: [{"verb": ID, "noun": ID, "action": "VERB_ID,NOUN_ID", '
        '"score": NUMBER, "segment": [START, END]}, ...]}}',
        ignores_unknown=True,
    )


def read_actions(
    paths: Sequence[Path], verbs: Sequence[str], nouns: Sequence[str], table: TableOptions = DEFAULT_TABLE
) -> Detections:
    """Read actions from one file with both classes, or from a file of verbs and a file of nouns.

    Parameters
    ----------
    paths : sequence of Path
        One or two files. Two are ActivityNet detection JSON, verbs first, and are combined by
        `pair_actions`.
    verbs, nouns : sequence of str
        Class names in order of their ids.
    table : TableOptions
        Columns and encoding of files that are tables.

    Returns
    -------
    Detections
        Labels are ``VERB,NOUN``. A single file of ActivityNet detection JSON keeps its labels.

    Raises
    ------
    MissingFileError
        If there is no such file.
    PredictionError
        If a file cannot be read, or contains an unknown class. Names file, video, entry and field.
    UsageError
        If there are more than two files, or one of two already has verbs and nouns.
    """
    if not 1 <= len(paths) <= 2:
        raise UsageError(f"--predictions: expected one file, or a file of verbs and one of nouns, found {len(paths)}")
    kinds = [_is_epic(path) for path in paths]
    if len(paths) == 1 and not kinds[0]:
        return read_predictions(paths[0], table)
    if len(paths) == 1:
        refuse_table_options(paths[0], table)
        return read_entries(paths[0], _format(verbs, nouns))
    if any(kinds):
        raise UsageError(f"{paths[kinds.index(True)]}: has verbs and nouns, so it must be the only file")
    found = [read_predictions(path, table) for path in paths]
    for path, detections, vocabulary, classes in zip(paths, found, VOCABULARIES, (verbs, nouns), strict=True):
        unknown = sorted(set(detections.class_names) - set(classes))
        if unknown:
            raise PredictionError(
                f"{path}: class '{unknown[0]}' is not a {vocabulary}",
                hint="give the file of verbs first, then that of nouns",
            )
    with error_context(f"{paths[0]} or {paths[1]}", PredictionError):
        return pair_actions(*found)


def pair_actions(
    verbs: Detections, nouns: Detections, *, min_tiou: float = MIN_PAIR_TIOU, per_video: int = ACTIONS_PER_VIDEO
) -> Detections:
    """Combine detections of verbs and of nouns to actions.

    Each verb and each noun of a video whose tIoU is `min_tiou` or more make an action. Its start and
    end are the means of theirs, its score is the geometric mean. If both come from one proposal with
    one score, as in the challenge's baseline, the action has the segment and score of that proposal.

    Parameters
    ----------
    verbs, nouns : Detections
        With scores of 0 or more.
    min_tiou : float
        In (0, 1]; with 1, only equal segments make an action.
    per_video : int
        Number of actions of each video to keep, those of highest score.

    Raises
    ------
    PredictionError
        If a score is negative.

    References
    ----------
    OpenTAD, ``tools/prepare_data/epic/epic_action_noun_verb_submit.py``: means of segments and of
    scores, there of the two predictions at one point. C2-Action-Detection,
    ``SlowFastProposalClassifier/run_net.py``: the score of the proposal.
    """
    for detections in (verbs, nouns):
        if np.any(detections.score < 0):
            row = int(np.argmax(detections.score < 0))
            video_id = detections.video_ids[detections.video[row]]
            text = f"video '{video_id}': a score of {detections.score[row]:.12g} has no geometric mean with others"
            raise PredictionError(text, hint="scores of verbs and nouns must be 0 or more")
    video_ids = tuple(sorted({*verbs.video_ids, *nouns.video_ids}))
    found = [
        _pairs(_rows_of(verbs, video_id), _rows_of(nouns, video_id), min_tiou, per_video) for video_id in video_ids
    ]
    found = found or [(np.empty(0),) * 5]
    start_s, end_s, score, verb, noun = (np.concatenate(column) for column in zip(*found, strict=True))
    num_nouns = max(len(nouns.class_names), 1)
    pairs, label = np.unique(verb.astype(np.int64) * num_nouns + noun.astype(np.int64), return_inverse=True)
    names = [(verbs.class_names[pair // num_nouns], nouns.class_names[pair % num_nouns]) for pair in pairs.tolist()]
    return Detections(
        video_ids=video_ids,
        video=np.repeat(np.arange(len(found)), [len(columns[0]) for columns in found]).astype(np.int32),
        start_s=start_s,
        end_s=end_s,
        score=score,
        label=label.astype(np.int32),
        class_names=tuple(action_label(verb, noun) for verb, noun in names),
    )


Columns = tuple[NDArray[np.float64] | NDArray[np.int32], ...]
"""Start, end, score and class numbers of one video's detections."""


def _rows_of(detections: Detections, video_id: str) -> Columns:
    """Return one video's detections by descending score, equal ones by start, end and class."""
    number = detections.video_ids.index(video_id) if video_id in detections.video_ids else len(detections.video_ids)
    first, last = np.searchsorted(detections.video, (number, number + 1))
    rows = slice(int(first), int(last))
    columns = detections.start_s[rows], detections.end_s[rows], detections.score[rows], detections.label[rows]
    start_s, end_s, score, label = columns
    order = np.lexsort((label, end_s, start_s, -score))
    return tuple(column[order] for column in columns)


def _pairs(verbs: Columns, nouns: Columns, min_tiou: float, per_video: int) -> Columns:
    """Return start, end, score, verb and noun of one video's actions, by descending score, then by verb and noun.

    Verbs are paired in blocks, until the remaining ones cannot make a better action.
    """
    (verb_start, verb_end, verb_score, verb), (noun_start, noun_end, noun_score, noun) = verbs, nouns
    left, right, score = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    block = max(PAIRS_AT_ONCE // max(len(noun), 1), 1)
    for first in range(0, len(verb) if len(noun) else 0, block):
        if len(score) == per_video and np.sqrt(verb_score[first] * noun_score[0]) <= score[-1]:
            break
        rows = slice(first, first + block)
        tiou = temporal_iou(verb_start[rows, None], verb_end[rows, None], noun_start, noun_end)
        some, of_noun = np.nonzero(tiou >= min_tiou)
        left, right = np.concatenate([left, some + first]), np.concatenate([right, of_noun])
        # exactly their score where the two are equal
        score = np.concatenate([score, np.sqrt(verb_score[some + first] * noun_score[of_noun])])
        best = np.argsort(-score, kind="stable")[:per_video]
        left, right, score = left[best], right[best], score[best]
    start_s = (verb_start[left] + noun_start[right]) / 2
    end_s = (verb_end[left] + noun_end[right]) / 2
    return start_s, end_s, score, verb[left], noun[right]


def _is_epic(path: Path) -> bool:
    """Return whether a file looks like the challenge's JSON, by its first fields."""
    try:
        with path.open("rb") as file:
            return _EPIC_FIELD.search(file.read(_BYTES_LOOKED_AT)) is not None
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: no such file") from None
