"""Detection metrics on NumPy arrays of numbered videos and classes; `asl_evaluate.scoring` computes them by name."""

from asl_kit.metrics.average_precision import average_precision
from asl_kit.metrics.frames import frame_average_precision, highest_scores
from asl_kit.metrics.matching import Matching, match_detections
from asl_kit.metrics.proposals import proposal_recall
from asl_kit.metrics.recall import recall_at_top
from asl_kit.metrics.recall_at_multiples import class_recall_at_multiples, pooled_recall_at_multiples
from asl_kit.metrics.segments import ScoredSegments, Segments, drop_duplicates, temporal_iou
from asl_kit.metrics.thumos14 import thumos14_average_precision

__all__ = [
    "Matching",
    "ScoredSegments",
    "Segments",
    "average_precision",
    "class_recall_at_multiples",
    "drop_duplicates",
    "frame_average_precision",
    "highest_scores",
    "match_detections",
    "pooled_recall_at_multiples",
    "proposal_recall",
    "recall_at_top",
    "temporal_iou",
    "thumos14_average_precision",
]
