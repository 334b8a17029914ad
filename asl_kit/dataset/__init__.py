"""Annotations and feature streams (docs/glossary.md#feature-stream), joined for training and inference."""
