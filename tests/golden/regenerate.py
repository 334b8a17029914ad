"""Convert every hand-written sample in `<name>/raw` and write what comes out to `<name>/expected`.

A sample is named by its converter, or `<converter>--<layout>`; all that lies in `raw` is given to the
converter, with the options of OPTIONS. Run it after a change that is meant, and read the differences:
python tests/golden/regenerate.py
"""

from __future__ import annotations

import json
from pathlib import Path

from asl_kit import __version__
from asl_kit.annotations.conversion import convert
from asl_kit.annotations.point_window import PointWindow

GOLDEN = Path(__file__).parent
SAMPLES = sorted(path.parent.name for path in GOLDEN.glob("*/raw"))
OPTIONS: dict[str, dict[str, object]] = {
    "ava": {"point_window": PointWindow(0.5, 0.5)},
    "soccernet": {"point_window": PointWindow(2.0, 5.0)},
}
"""Options of the converters that need some."""
RESULTS = ("annotations.json", "report.json")


def convert_sample(name: str, folder: Path) -> None:
    """Convert one sample into `folder`, the version of asl-kit and the place of the sources taken out."""
    raw = GOLDEN / name / "raw"
    converter, _, _ = name.partition("--")
    report = convert(converter, sorted(raw.iterdir()), folder / RESULTS[0], **OPTIONS.get(converter, {})).to_json()
    (folder / RESULTS[1]).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for result in RESULTS:
        path = folder / result
        text = path.read_text(encoding="utf-8").replace(f'"asl_kit": "{__version__}"', '"asl_kit": "VERSION"')
        path.write_text(text.replace(json.dumps(str(raw))[1:-1], "raw"), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    for sample in SAMPLES:
        convert_sample(sample, GOLDEN / sample / "expected")
