"""Checkpoints that other programs trained, made ours."""

from asl_kit.checkpoint_import.actionformer import ImportedCheckpoint, import_checkpoint

__all__ = ["ImportedCheckpoint", "import_checkpoint"]
