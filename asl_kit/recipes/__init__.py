"""Recipes (docs/glossary.md#recipe): every setting of a training run, and the built-in ones."""
