"""asl-kit: from raw video to temporal action detections.

The core package: formats, feature store, model, metrics and the frame of the
command line. The stages live beside it in `asl_extract`, `asl_train` and
`asl_evaluate`. Importing this package loads neither torch, zarr nor decord:
what it offers to programs is imported when it is first used.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "FeatureReader",
    "ScoringOptions",
    "evaluate_checkpoint",
    "evaluate_predictions",
    "find_videos",
    "load_model",
    "read_annotations",
]

if TYPE_CHECKING:
    from asl_evaluate.options import ScoringOptions
    from asl_evaluate.scoring import evaluate_checkpoint, evaluate_predictions
    from asl_extract.videos import find_videos
    from asl_kit.annotations import read_annotations
    from asl_kit.dataset.feature_reader import FeatureReader
    from asl_kit.prediction.trained_model import load_model
else:
    _PLACES = {
        "FeatureReader": "asl_kit.dataset.feature_reader",
        "ScoringOptions": "asl_evaluate.options",
        "evaluate_checkpoint": "asl_evaluate.scoring",
        "evaluate_predictions": "asl_evaluate.scoring",
        "find_videos": "asl_extract.videos",
        "load_model": "asl_kit.prediction.trained_model",
        "read_annotations": "asl_kit.annotations",
    }

    def __getattr__(name):
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)

    def __dir__():
        return sorted({*globals(), *__all__})
