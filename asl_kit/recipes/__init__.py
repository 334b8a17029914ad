"""Recipes: every choice of a training run, and the built-in ones."""
