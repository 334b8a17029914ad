"""Detections: in memory, on disk, and of one video with the facts of its file."""
