"""The feature store: one Zarr v3 array per video, written by any number of processes.

Feature store, ledger and extraction spec are defined in docs/glossary.md.

Importing this package loads neither torch nor zarr; writing loads zarr.
"""

from asl_kit.store.ids import decode_id, encode_id
from asl_kit.store.ledger import Attempt, Ledger
from asl_kit.store.store import FeatureStore
from asl_kit.store.summary import StoreSummary, describe, list_videos, table
from asl_kit.store.verify import Problem
from asl_kit.store.video import SourceVideo, VideoInfo

__all__ = [
    "Attempt",
    "FeatureStore",
    "Ledger",
    "Problem",
    "SourceVideo",
    "StoreSummary",
    "VideoInfo",
    "decode_id",
    "describe",
    "encode_id",
    "list_videos",
    "table",
]
