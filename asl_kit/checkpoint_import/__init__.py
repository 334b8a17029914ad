"""Import of checkpoints that other programs trained."""

from asl_kit.checkpoint_import.actionformer_checkpoint import ImportedCheckpoint, import_checkpoint

__all__ = ["ImportedCheckpoint", "import_checkpoint"]
