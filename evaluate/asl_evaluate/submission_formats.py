"""The formats that benchmarks' servers accept, as pydantic models, and where each is published.

- `EpicKitchens`: ``validate_submission`` of ``EvaluationCode/evaluate_detection_json_ek100.py``,
  https://github.com/epic-kitchens/C2-Action-Detection at 4835721.
- `MomentQueries`: ``MQ/Merge_detection_retrieval.py``, https://github.com/EGO4D/episodic-memory at 5275b95.
- `ActivityNet`: ``Evaluation/data/sample_detection_prediction.json`` and ``Evaluation/eval_detection.py``,
  https://github.com/activitynet/ActivityNet.

None of them limits the number of detections.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from asl_kit.base.validation import StrictModel


class _Format(StrictModel):
    model_config = ConfigDict(strict=True)


class _Timed(_Format):
    """A segment in seconds, with its score."""

    segment: Annotated[list[float], Field(min_length=2, max_length=2)]
    score: float

    @model_validator(mode="after")
    def _check(self) -> _Timed:
        if self.segment[1] < self.segment[0]:
            raise ValueError("segment must not end before it starts")
        return self


class Labelled(_Timed):
    """A detection of a named class."""

    label: Annotated[str, Field(min_length=1)]


class EpicAction(_Timed):
    """A detection of a verb and a noun, by their ids."""

    verb: Annotated[int, Field(ge=0, lt=97)]
    noun: Annotated[int, Field(ge=0, lt=300)]
    action: str
    """``VERB,NOUN``."""

    @model_validator(mode="after")
    def _check_action(self) -> EpicAction:
        if self.action != f"{self.verb},{self.noun}":
            raise ValueError("action must be 'VERB,NOUN', the ids of verb and noun")
        return self


Level = Annotated[int, Field(ge=0, le=5)]


class EpicKitchens(_Format):
    """The file for the action detection challenge of EPIC-KITCHENS-100."""

    version: Literal["0.2"] = "0.2"
    challenge: Literal["action_detection"] = "action_detection"
    sls_pt: Level
    sls_tl: Level
    sls_td: Level
    results: dict[str, list[EpicAction]]


class MomentQueries(_Format):
    """The file for the Moment Queries challenge of Ego4D."""

    version: Literal["1.0"] = "1.0"
    challenge: Literal["ego4d_moment_queries"] = "ego4d_moment_queries"
    detect_results: dict[str, list[Labelled]]
    """Scored by mAP."""
    retrieve_results: dict[str, list[Labelled]]
    """Scored by recall@kx, in the order of the lists."""


class ExternalData(_Format):
    """Whether other data was used for training."""

    used: bool
    details: str


class ActivityNet(_Format):
    """The file for the localization task of ActivityNet."""

    version: Literal["VERSION 1.2", "VERSION 1.3"]
    results: dict[str, list[Labelled]]
    external_data: ExternalData
