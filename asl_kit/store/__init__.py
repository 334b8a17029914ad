"""The feature store (docs/glossary.md#feature-store): one Zarr v3 array per video, filled by many processes.

Importing this package loads neither torch nor zarr; writing loads zarr.
"""

from asl_kit.store.identity import FileIdentity
from asl_kit.store.ids import decode_id, encode_id
from asl_kit.store.ledger import Attempt, Ledger
from asl_kit.store.sources import SourceComparison, compare_sources
from asl_kit.store.store import FeatureStore
from asl_kit.store.summary import StoreSummary, describe, list_videos, table
from asl_kit.store.verify import Problem
from asl_kit.store.video import SourceVideo, VideoInfo

__all__ = [
    "Attempt",
    "FeatureStore",
    "FileIdentity",
    "Ledger",
    "Problem",
    "SourceComparison",
    "SourceVideo",
    "StoreSummary",
    "VideoInfo",
    "compare_sources",
    "decode_id",
    "describe",
    "encode_id",
    "list_videos",
    "table",
]
