"""What a study has found: the scores of its runs, and each variant compared with the baseline, seed by seed."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from asl_evaluate.seeds import SeedDifference, compare_seeds
from asl_kit.base.console import warn
from asl_kit.errors import StudyError
from asl_kit.study.runs import Job
from asl_kit.study.settings import Study

COLUMNS = ("variant", "seeds", "score", "minus baseline", "95 % interval", "p", "seed by seed")


@dataclass(frozen=True)
class VariantResult:
    """The runs of a variant on a set."""

    scores: Mapping[int, float]
    """By seed, in [0, 1]; without the runs that failed or are missing."""
    difference: SeedDifference | None
    """From the baseline; None for itself, and without a common seed."""

    @property
    def mean(self) -> float | None:
        """Mean score over the seeds."""
        return statistics.fmean(self.scores.values()) if self.scores else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the score over the seeds; None with fewer than two."""
        return statistics.stdev(self.scores.values()) if len(self.scores) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "scores": {str(seed): score for seed, score in self.scores.items()},
            "mean": self.mean,
            "standard_deviation": self.deviation,
            "minus_baseline": None if self.difference is None else self.difference.to_json(),
        }

    def cells(self) -> tuple[str, ...]:
        """Return the cells of a table after the variant's name: `COLUMNS`."""
        spread = "" if self.deviation is None else f" ± {100 * self.deviation:.2f}"
        score = "" if self.mean is None else f"{100 * self.mean:.2f}{spread}"
        found = self.difference
        if found is None:
            return (str(len(self.scores)), score, "", "", "", "")
        interval = ""
        if found.interval is not None:
            interval = f"{_signed(found.interval.low)} .. {_signed(found.interval.high)}"
        p_value = "" if found.p_value is None else f"{found.p_value:.2g}"
        each = "  ".join(_signed(value) for value in found.by_seed.values())
        return (str(len(self.scores)), score, _signed(found.mean), interval, p_value, each)


@dataclass(frozen=True)
class StudyResult:
    """The result of a study, as far as it has got."""

    score: str
    baseline: str
    sets: Mapping[str, Mapping[str, VariantResult]]
    """By set and variant, in the order of the study file."""
    missing: Mapping[str, str]
    """Runs without a result, and why."""
    failed: int
    """How many of these have failed."""

    def to_json(self) -> dict[str, Any]:
        """Return the document that ``asl-kit study --json`` writes."""
        return {
            "score": self.score,
            "baseline": self.baseline,
            "sets": {
                name: {variant: result.to_json() for variant, result in variants.items()}
                for name, variants in self.sets.items()
            },
            "missing": dict(self.missing),
        }


def collect(study: Study, jobs: Sequence[Job], failures: Mapping[str, str]) -> StudyResult:
    """Return the result of a study from the records of its runs.

    Raises
    ------
    StudyError
        If a run has no score of the name that the study compares.
    """
    scores: dict[str, dict[str, dict[int, float]]] = {}
    missing = {}
    for job in jobs:
        run = job.run
        found = scores.setdefault(run.set_name, {}).setdefault(run.variant, {})
        if (record := job.result()) is not None:
            found[run.seed] = find_score(record["scores"], study)
        else:
            missing[run.name] = f"failed: {failures[run.name]}" if run.name in failures else "not run yet"
    sets = {
        name: {
            variant: VariantResult(
                own, compare_seeds(variants[study.baseline], own) if variant != study.baseline else None
            )
            for variant, own in variants.items()
        }
        for name, variants in scores.items()
    }
    return StudyResult(study.score, study.baseline, sets, missing, len(failures))


def find_score(scores: Mapping[str, float], study: Study) -> float:
    """Return the score of a run that the study compares.

    Raises
    ------
    StudyError
        If the protocol has no score of this name.
    """
    if study.score not in scores:
        raise StudyError(
            f"{study.path}: study.score: no score is named {study.score!r}", hint=f"there are: {', '.join(scores)}"
        )
    return scores[study.score]


def print_result(result: StudyResult, console: Console) -> None:
    """Print a table for each set, and the runs without a result."""
    for name, variants in result.sets.items():
        title = f"{name}: {result.score} (%), mean ± standard deviation over the seeds; minus {result.baseline}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        for column in COLUMNS:
            table.add_column(column, justify="left" if column == "variant" else "right")
        for variant, found in variants.items():
            table.add_row(variant, *found.cells())
        console.print(table)
    for name, reason in result.missing.items():
        warn(console, f"{name}: {reason}", what="no result")


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}"
