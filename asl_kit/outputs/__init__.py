"""Detections written for people and other programs: tables, subtitles, edit decision lists, clips."""
