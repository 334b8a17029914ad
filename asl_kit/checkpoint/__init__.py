"""Checkpoints: a trained model, and its file."""
