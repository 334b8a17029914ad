"""Features that were made elsewhere, brought into a store: nothing about their time or order is guessed.

Importing this package loads neither torch, zarr nor h5py.
"""

from asl_kit.feature_import.importer import ImportSummary, import_features
from asl_kit.feature_import.presets import list_presets

__all__ = ["ImportSummary", "import_features", "list_presets"]
