"""A trained network applied to features: detections in seconds."""
