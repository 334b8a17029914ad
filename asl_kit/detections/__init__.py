"""Detections (docs/glossary.md#detection): in memory, on disk, and of one video together with its file."""
