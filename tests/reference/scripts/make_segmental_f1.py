"""Make `tests/reference/segmental_f1.json`: what the code of action segmentation papers says.

    python tests/reference/scripts/make_segmental_f1.py FOLDER

FOLDER is a checkout of yabufarha/ms-tcn (33ed91c, 2021-08-16), whose ``eval.py`` goes back to Lea et al. (CVPR 2017).
Its function ``f_score`` is run as it is, on random frames, after ``print`` has been ported from Python 2; nothing of it
is kept. A frame is a second.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

OUT = Path(__file__).parent.parent / "segmental_f1.json"
OVERLAPS = (0.1, 0.25, 0.5)
CLASSES = ("background", "cut", "mix", "pour")


def make_videos(rng: np.random.Generator) -> list[tuple[list[str], list[str]]]:
    """Return true and predicted labels of the frames of three videos; predictions are the truth with errors."""
    videos = []
    for _ in range(3):
        true = [CLASSES[rng.integers(4)] for _ in range(8)]
        frames = [label for label in true for _ in range(int(rng.integers(2, 12)))]
        shifted = np.roll(frames, int(rng.integers(-3, 4))).tolist()
        for _ in range(4):
            at = int(rng.integers(len(frames)))
            shifted[at : at + 4] = [CLASSES[rng.integers(4)]] * len(shifted[at : at + 4])
        videos.append((frames, shifted))
    return videos


def main() -> None:
    source = (Path(sys.argv[1]) / "eval.py").read_text(encoding="utf-8")
    module: dict[str, Any] = {"__name__": "ms_tcn_eval"}
    exec(re.sub(r"^(\s*)print (.+)$", r"\1print(\2)", source, flags=re.MULTILINE), module)
    cases = []
    for seed in range(20):
        videos = make_videos(np.random.default_rng(seed))
        f1 = {}
        for overlap in OVERLAPS:
            tp, fp, fn = np.sum([module["f_score"](found, true, overlap) for true, found in videos], axis=0)
            precision, recall = tp / (tp + fp), tp / (tp + fn)
            f1[f"F1@{100 * overlap:g}"] = float(np.nan_to_num(2 * precision * recall / (precision + recall)))
        rows = [
            [list(zip(*module["get_labels_start_end_time"](labels), strict=True)) for labels in video]
            for video in videos
        ]
        cases.append({"truth": [row[0] for row in rows], "predictions": [row[1] for row in rows], "f1": f1})
    OUT.write_text(json.dumps(cases) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
