"""Optical flow as a backbone's input."""
