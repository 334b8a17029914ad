"""Features that were made elsewhere, brought into a store: nothing about their time or order is guessed.

Importing this package loads neither torch, zarr nor h5py.
"""

from asl_kit.feature_import.presets import list_presets
from asl_kit.feature_import.run import ImportSummary, import_features

__all__ = ["ImportSummary", "import_features", "list_presets"]
