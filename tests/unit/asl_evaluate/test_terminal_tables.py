from __future__ import annotations

from io import StringIO

from helpers.support import make_annotation_set
from rich.console import Console

from asl_evaluate.options import ScoringOptions
from asl_evaluate.scoring import score
from asl_evaluate.terminal_tables import print_scores
from asl_kit.detections.table import Detections


def _printed(classes: int, tiou: str) -> str:
    names = [f"class [{number:02d}]" for number in range(classes)]  # square brackets are rich's own markup
    annotations = make_annotation_set({"v": ("test", [(0.0, 10.0, name) for name in names])}, names)
    # the first class is found exactly, the next a little less exactly, and so on
    rows = [("v", 0.0, 10.0 - 9 * number / classes, name, 0.5) for number, name in enumerate(names)]
    scores = score(Detections.from_lists(rows), annotations, ScoringOptions(split="test", tiou=tiou))
    text = StringIO()
    print_scores(scores, Console(file=text, width=80))
    return text.getvalue()


def test_few_classes_are_all_shown() -> None:
    text = _printed(2, "0.5:0.7:0.1")
    assert text.startswith("protocol activitynet, split test, vocabulary action, duplicates keep\n")
    cells = [line.split() for line in text.splitlines()]
    assert ["0.5", "100.00", "100.00"] in cells
    assert ["0.6", "50.00", "50.00"] in cells
    assert ["mean", "66.67", "66.67"] in cells
    assert ["class", "[00]", "100.00", "100.00", "100.00", "100.00", "1", "1"] in cells
    assert ["class", "[01]", "100.00", "0.00", "0.00", "33.33", "1", "1"] in cells
    assert "warning" not in text


def test_of_many_the_best_and_worst_are_shown() -> None:
    text = _printed(30, "0.5:0.95:0.05")
    shown = [line.split()[1] for line in text.splitlines() if line.strip().startswith("class [")]
    assert shown == ["[00]", "[01]", "[02]", "[03]", "[04]", "[25]", "[26]", "[27]", "[28]", "[29]"]
    assert "the 5 best and the 5 worst of 30" in text
    assert ["class", "@0.5", "@0.75", "@0.95", "mean", "truth", "predicted"] in [
        line.split() for line in text.splitlines()
    ]
    assert max(map(len, text.splitlines())) <= 80
