"""Import of checkpoints that other programs trained."""

from asl_kit.checkpoint_import.importer import ImportedCheckpoint, import_checkpoint

__all__ = ["ImportedCheckpoint", "import_checkpoint"]
