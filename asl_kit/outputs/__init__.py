"""What detections become for people and other programs: a table, subtitles, an edit decision list, clips."""
