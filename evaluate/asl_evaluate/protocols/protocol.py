"""What a protocol is; see docs/plugins.md for protocols of other packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asl_evaluate.tiou import parse_thresholds

if TYPE_CHECKING:
    from asl_evaluate.scores import Scores
    from asl_evaluate.task import Task


@dataclass(frozen=True)
class Protocol:
    """One way to score detections.

    Parameters
    ----------
    name : str
        What manifests and ``--protocol`` call it.
    summary : str
        One line: what it computes, and whose score that is.
    score : callable
        ``score(task: Task) -> Scores``. `asl_evaluate.task.prepare` returns the ground truth and the detections of a
        task as columns, and its coverage. All scores are floats in [0, 1]. `Scores.protocol` and `Scores.package` are
        set by asl-kit. A fault of the input is an `AslKitError`.
    tiou : str or sequence of float, optional
        Thresholds to score at if the user names none: ``LO:HI:STEP``, or values in (0, 1]. Default: those of the
        dataset.
    by_frame : bool
        Whether it scores moments. It then has no thresholds: `Scores.tiou_thresholds` is empty.
    joint : bool
        Whether it scores several vocabularies together, from labels like ``take,plate``, as `Scores.parts`.
    class_agnostic : bool
        Whether it ignores the classes of detections.

    Raises
    ------
    TypeError, ValueError
        If a value is not as described.
    """

    name: str
    summary: str
    score: Callable[[Task], Scores]
    tiou: str | Sequence[float] | None = None
    by_frame: bool = False
    joint: bool = False
    class_agnostic: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.summary, str):
            raise TypeError(f"name and summary of a Protocol must be text, found {self.name!r}, {self.summary!r}")
        if not callable(self.score):
            raise TypeError(f"score of a Protocol must be a function, found {self.score!r:.60}")
        if self.tiou is not None:
            parse_thresholds(self.tiou)
            if self.by_frame:
                raise ValueError(f"a Protocol that scores by_frame has no thresholds, found tiou {self.tiou!r}")
