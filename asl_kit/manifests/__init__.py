"""Manifests (docs/glossary.md#manifest): facts about published datasets, and their schema."""
