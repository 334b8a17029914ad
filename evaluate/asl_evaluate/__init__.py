"""A model, or predictions, to detections and scores."""
