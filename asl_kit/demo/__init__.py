"""The demo: generated videos, and every step of the pipeline on them."""
