"""Damaged annotation sources: refused, or converted with every item in the result or in the report."""

from __future__ import annotations

import random
import shutil
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from golden.regenerate import OPTIONS
from tools.fuzz_damage import damage
from tools.fuzz_outcomes import Outcome, at_most
from tools.source_counts import COUNTERS, items_read

from asl_kit.annotations import read_annotations
from asl_kit.annotations.conversion import convert
from asl_kit.annotations.point_window import PointWindow
from asl_kit.errors import AslKitError

GOLDEN = Path(__file__).parents[1] / "golden"
HAVE_POINTS = ("anvil", "boris", "datavyu", "textgrid")
"""Converters that make segments of points in time if a window is stated."""
SAMPLES = sorted(path.parent.name for path in GOLDEN.glob("*/raw"))


def run_sample(sample: str, chance: random.Random, folder: Path) -> Outcome:
    """Damage a hand-written sample, convert it and judge what happened."""
    raw = folder / "raw"
    shutil.copytree(GOLDEN / sample / "raw", raw)
    damages = damage(sorted(path for path in raw.rglob("*") if path.is_file()), chance)
    converter = sample.partition("--")[0]
    options = OPTIONS.get(converter, {})
    if converter in HAVE_POINTS and chance.random() < 0.5:
        options = {"point_window": PointWindow(0.5, 1)}
    return judge(converter, raw, folder, damages, options)


def judge(converter: str, raw: Path, folder: Path, damages: str, options: Mapping[str, Any]) -> Outcome:
    sources = sorted(raw.iterdir()) or [raw]
    output = folder / "annotations.json"
    try:
        with at_most():
            report = convert(converter, sources, output, **options)
    except (AslKitError, OSError) as error:
        if output.exists():
            return Outcome("half-written", f"{damages}: {error}")
        if isinstance(error, AslKitError) and ("\n" in error.message.splitlines()[0] or not error.message.strip()):
            return Outcome("no message", damages)
        return Outcome("refused", str(error))
    except TimeoutError:
        return Outcome("hangs", damages)
    except BaseException:
        return Outcome("traceback", f"{damages}\n{traceback.format_exc()}")
    lost = [line for line in report.differences if " read, but " in line]
    if lost:
        return Outcome("loss", f"{damages}: {lost}")
    try:
        expected = COUNTERS[converter](raw) if "other suffix" not in damages else None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, SyntaxError):
        expected = None  # too damaged to be counted by simple means
    read = items_read(converter, report, read_annotations(output))
    if expected is not None and expected != read:
        return Outcome("silent loss", f"{damages}: {expected} items in the source, {read} read")
    return Outcome("accepted", damages)
