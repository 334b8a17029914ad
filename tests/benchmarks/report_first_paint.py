"""How soon a report is there: a page of many videos in headless Chromium, by the browser's own performance entries.

python tests/benchmarks/report_first_paint.py --videos 200 --predictions 100

Prints milliseconds from the start of the navigation, the median of several openings: first contentful paint, all of the
page read (loadEventEnd), the first timeline drawn, and the longest answer to a move of the score slider.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.browser import Browser
from helpers.support import make_annotation_set

from asl_evaluate.report import report_file
from asl_kit.annotations import write_annotations
from asl_kit.detections.json_format import write_predictions
from asl_kit.detections.table import Detections

TIMES = """JSON.stringify({
  first_paint_ms: performance.getEntriesByName("first-contentful-paint")[0].startTime,
  loaded_ms: performance.getEntriesByType("navigation")[0].loadEventEnd,
  first_timeline_ms: performance.getEntriesByName("first-timeline")[0].startTime})"""
SLIDER = """(() => {
  const slider = document.getElementById("pick-score"), times = [];
  for (let share = 0; share <= 1; share += 0.05) {
    const start = performance.now();
    slider.value = Number(slider.max) * share;
    slider.dispatchEvent(new Event("input"));
    slider.dispatchEvent(new Event("change"));
    document.body.offsetHeight;
    times.push(performance.now() - start);
  }
  return Math.max(...times);
})()"""


def make_inputs(folder: Path, videos: int, predictions: int, classes: int = 20) -> None:
    """Write truth and predictions of videos of 100 s, about 10 true segments each."""
    random = np.random.default_rng(0)
    names = [f"class {number}" for number in range(classes)]
    truth, rows = {}, []
    for number in range(videos):
        starts_s = np.sort(random.uniform(0, 90, 10))
        labels = random.choice(names, 10)
        truth[f"video {number}"] = (
            "test",
            [(s, s + 8, str(c)) for s, c in zip(starts_s.tolist(), labels, strict=True)],
        )
        for row in range(predictions):
            start_s = max(0.0, starts_s[row % 10] + random.normal(0, 4))
            score = float(random.beta(1, 5))
            rows.append((f"video {number}", start_s, start_s + random.gamma(4, 2), str(labels[row % 10]), score))
    write_annotations(make_annotation_set(truth, names), folder / "annotations.json")
    write_predictions(folder / "predictions.json", Detections.from_lists(rows))


def main() -> None:
    """Make a report, open it several times, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--predictions", type=int, default=100, help="of a video")
    parser.add_argument("--openings", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, arguments.videos, arguments.predictions)
        page = folder / "report.html"
        start_s = time.perf_counter()
        report_file(
            page,
            predictions=folder / "predictions.json",
            annotations=folder / "annotations.json",
            predictions_per_video=arguments.predictions,
        )
        result = {"written_s": time.perf_counter() - start_s, "megabytes": page.stat().st_size / 1e6}
        openings = []
        with Browser(folder / "profile") as browser:
            for _ in range(arguments.openings):
                browser.open(page)
                browser.wait_for("document.getElementById('explorer').dataset.ready")
                openings.append(json.loads(browser.evaluate(TIMES)) | {"slider_ms": browser.evaluate(SLIDER)})
            assert browser.complaints() == []
        result |= {key: statistics.median(each[key] for each in openings) for key in openings[0]}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
