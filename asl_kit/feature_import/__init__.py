"""Import of features that were made elsewhere; their timing and order are never guessed.

Importing this package loads neither torch, zarr nor h5py.
"""

from asl_kit.feature_import.importer import import_features
from asl_kit.feature_import.presets import list_presets, presets_table
from asl_kit.feature_import.settings import ImportSettings
from asl_kit.feature_import.summary import ImportSummary

__all__ = ["ImportSettings", "ImportSummary", "import_features", "list_presets", "presets_table"]
