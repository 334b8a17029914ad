"""The network, its losses and the decoding of its outputs, in torch and without files.

Point, positive and pyramid level are defined in docs/glossary.md#point.
"""
