"""asl-kit: from raw video to temporal action detections.

The core package: formats, feature store, model, metrics and the frame of the
command line. The stages live beside it in `asl_extract`, `asl_train` and
`asl_evaluate`. Importing this package loads neither torch, zarr nor decord.
"""

__version__ = "0.1.0"
