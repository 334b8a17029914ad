"""Annotations and feature stores to a trained model."""
