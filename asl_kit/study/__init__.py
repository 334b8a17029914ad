"""Studies: variants of the training settings, each trained and scored on the same sets and seeds."""
