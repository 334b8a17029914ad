"""Annotations and feature stores joined into what a network is trained and tested on."""
