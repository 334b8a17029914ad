"""The videos of `asl-kit demo`."""
