"""asl-kit: from raw video to temporal action detections.

The core package: formats, feature store, model, metrics and the command line.
The stages are the packages `asl_extract`, `asl_train` and `asl_evaluate`.
Importing this package loads neither torch, zarr nor a decoder: each public name
is imported when it is first used.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "ExtractionSettings",
    "FeatureReader",
    "ImportSettings",
    "PointWindow",
    "PredictionOptions",
    "RunOptions",
    "ScoringOptions",
    "TableOptions",
    "TierOptions",
    "ViewingFiles",
    "convert",
    "evaluate_checkpoint",
    "evaluate_predictions",
    "extract_videos",
    "find_videos",
    "fuse_files",
    "import_features",
    "load_model",
    "predict_videos",
    "read_annotations",
    "train_model",
]

if TYPE_CHECKING:
    from asl_evaluate.options import ScoringOptions
    from asl_evaluate.scoring import evaluate_checkpoint, evaluate_predictions
    from asl_extract.extraction import extract_videos
    from asl_extract.settings import ExtractionSettings, RunOptions
    from asl_extract.videos import find_videos
    from asl_kit.annotations import read_annotations
    from asl_kit.annotations.conversion import convert
    from asl_kit.annotations.point_window import PointWindow
    from asl_kit.annotations.tables import TableOptions
    from asl_kit.annotations.tiers import TierOptions
    from asl_kit.dataset.feature_reader import FeatureReader
    from asl_kit.detections.fusion import fuse_files
    from asl_kit.feature_import import ImportSettings, import_features
    from asl_kit.outputs.viewing import ViewingFiles
    from asl_kit.prediction.predict_videos import PredictionOptions, predict_videos
    from asl_kit.prediction.trained_model import load_model
    from asl_train.trainer import train_model
else:
    _PLACES = {
        "ExtractionSettings": "asl_extract.settings",
        "FeatureReader": "asl_kit.dataset.feature_reader",
        "ImportSettings": "asl_kit.feature_import",
        "PointWindow": "asl_kit.annotations.point_window",
        "PredictionOptions": "asl_kit.prediction.predict_videos",
        "RunOptions": "asl_extract.settings",
        "ScoringOptions": "asl_evaluate.options",
        "TableOptions": "asl_kit.annotations.tables",
        "TierOptions": "asl_kit.annotations.tiers",
        "ViewingFiles": "asl_kit.outputs.viewing",
        "convert": "asl_kit.annotations.conversion",
        "evaluate_checkpoint": "asl_evaluate.scoring",
        "evaluate_predictions": "asl_evaluate.scoring",
        "extract_videos": "asl_extract.extraction",
        "find_videos": "asl_extract.videos",
        "fuse_files": "asl_kit.detections.fusion",
        "import_features": "asl_kit.feature_import",
        "load_model": "asl_kit.prediction.trained_model",
        "predict_videos": "asl_kit.prediction.predict_videos",
        "read_annotations": "asl_kit.annotations",
        "train_model": "asl_train.trainer",
    }

    def __getattr__(name):
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_PLACES[name]), name)

    def __dir__():
        return sorted({*globals(), *__all__})
