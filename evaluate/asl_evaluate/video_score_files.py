"""Files of scores of whole videos, in the layouts that localization code reads.

JSON:

- ``{"class": [NAME, ...], "results": {VIDEO: [SCORE, ...]}}``: one score for each class, in that order, like CUHK's
  file for ActivityNet, which ActionFormer and OpenTAD read (``cuhk_val_simp_share.json``); ``classes`` is accepted too;
- the same with ``{VIDEO: [[LOGIT, ...]]}``: TCANet's file for HACS (``validation94.32.json``). The logits become
  probabilities by softmax. OpenTAD also doubles these; that does not change the order of detections;
- ``{"results": {VIDEO: {NAME: SCORE, ...}}}``.

NumPy: ``uNet_test.npy``, UntrimmedNet's scores of the test videos of THUMOS14. Row i is test video i + 1, column j
class j + 1 of UCF101. The 20 columns of the localization task are read, as in OpenTAD.

Video names may omit ``v_``. Scores are 0 or more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_evaluate.video_scores import VideoScores
from asl_kit.base.files import read_json
from asl_kit.errors import MissingFileError, PredictionError

FORMAT_HINT = 'expected {"class": [NAME, ...], "results": {VIDEO: [SCORE, ...]}} or {"results": {VIDEO: {NAME: SCORE}}}'
UCF101_CLASSES = 101
# The ids of THUMOS14's localization classes among those of UCF101: UntrimmedNetTHUMOSClassifier in
# opentad/models/utils/post_processing/classifier.py at 3dd7b03.
THUMOS14_CLASSES = {
    "BaseballPitch": 7,
    "BasketballDunk": 9,
    "Billiards": 12,
    "CleanAndJerk": 21,
    "CliffDiving": 22,
    "CricketBowling": 23,
    "CricketShot": 24,
    "Diving": 26,
    "FrisbeeCatch": 31,
    "GolfSwing": 33,
    "HammerThrow": 36,
    "HighJump": 40,
    "JavelinThrow": 45,
    "LongJump": 51,
    "PoleVault": 68,
    "Shotput": 79,
    "SoccerPenalty": 85,
    "TennisSwing": 92,
    "ThrowDiscus": 93,
    "VolleyballSpiking": 97,
}


def read_video_scores(path: Path) -> VideoScores:
    """Read scores of videos in any of the layouts.

    Raises
    ------
    MissingFileError
        If there is no such file.
    PredictionError
        If it has none of the layouts, or a score is below 0 or not finite. Names file, video and class.
    """
    if path.suffix in (".npy", ".npz"):
        return _read_array(path)
    document = read_json(path, PredictionError)
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, dict) or not results:
        raise PredictionError(f"{path}: field 'results' must be an object with videos", hint=FORMAT_HINT)
    listed = document.get("class", document.get("classes"))
    names = listed
    if names is None:
        if not all(isinstance(entry, dict) for entry in results.values()):
            raise PredictionError(f"{path}: field 'class' with the names of the classes is missing", hint=FORMAT_HINT)
        names = list(dict.fromkeys(name for entry in results.values() for name in entry))
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise PredictionError(f"{path}: class: expected a list of names", hint=FORMAT_HINT)
    if len(set(names)) != len(names):
        repeated = next(name for place, name in enumerate(names) if name in names[:place])
        raise PredictionError(f"{path}: class: '{repeated}' occurs twice")
    rows = {video: _row(entry, names, f"{path}: video '{video}'") for video, entry in results.items()}
    return VideoScores(tuple(names), rows, str(path), names_all=listed is not None)


def _row(entry: object, names: Sequence[str], place: str) -> NDArray[np.float64]:
    if isinstance(entry, dict):
        unknown = [name for name in entry if name not in names]
        if unknown:
            raise PredictionError(f"{place}: class '{unknown[0]}' is not among the {len(names)} of field 'class'")
        entry = [entry.get(name, 0.0) for name in names]
    if isinstance(entry, list) and entry and isinstance(entry[0], list):
        logits = _numbers(entry[0], names, place, _is_number, "a finite number", None)
        exponentials = np.exp(logits - logits.max())
        probabilities: NDArray[np.float64] = exponentials / exponentials.sum()
        return probabilities
    hint = "take the exponential or the sigmoid of logits first"
    return _numbers(entry, names, place, _is_score, "a number not below 0", hint)


def _numbers(
    entry: object, names: Sequence[str], place: str, is_valid: Callable[[Any], bool], expected: str, hint: str | None
) -> NDArray[np.float64]:
    if not isinstance(entry, list) or len(entry) != len(names):
        found = f"{len(entry)}" if isinstance(entry, list) else type(entry).__name__
        raise PredictionError(f"{place}: expected {len(names)} scores, one a class, found {found}", hint=FORMAT_HINT)
    for name, value in zip(names, entry, strict=True):
        if not is_valid(value):
            raise PredictionError(f"{place}, class '{name}': expected {expected}, found {value!r}", hint=hint)
    return np.array(entry, np.float64)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # false for NaN, and for large integers


def _is_score(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _read_array(path: Path) -> VideoScores:
    """Read UntrimmedNet's scores of THUMOS14's test videos."""
    try:
        with path.open("rb") as file:  # NumPy leaves a damaged archive open
            loaded = np.load(file, allow_pickle=False)
            arrays = [loaded[name] for name in loaded.files] if isinstance(loaded, np.lib.npyio.NpzFile) else [loaded]
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: no such file") from None
    except Exception as fault:  # numpy and zipfile raise anything for a damaged file
        if isinstance(fault, OSError) and fault.filename is not None:
            raise
        raise PredictionError(f"{path}: not an array of NumPy: {' '.join(str(fault).split())}") from fault
    hint = (
        f"UntrimmedNet's scores of THUMOS14's test videos have a column for each of UCF101's {UCF101_CLASSES} classes"
    )
    shapes = [array.shape for array in arrays]
    if len(arrays) != 1 or arrays[0].ndim != 2 or shapes[0][1] != UCF101_CLASSES or arrays[0].dtype.kind not in "fiu":
        found = ", ".join(f"{array.dtype} {array.shape}" for array in arrays) or "none"
        raise PredictionError(
            f"{path}: expected one array of shape (videos, {UCF101_CLASSES}), found {found}", hint=hint
        )
    scores = arrays[0][:, [number - 1 for number in THUMOS14_CLASSES.values()]].astype(np.float64)
    for row, column in np.argwhere(~(np.isfinite(scores) & (scores >= 0)))[:1].tolist():
        place = f"{path}: row {row} (video_test_{row + 1:07d}), class '{list(THUMOS14_CLASSES)[column]}'"
        raise PredictionError(f"{place}: expected a number not below 0, found {scores[row, column]}")
    rows = {f"video_test_{row + 1:07d}": scores[row] for row in range(len(scores))}
    return VideoScores(tuple(THUMOS14_CLASSES), rows, str(path))
