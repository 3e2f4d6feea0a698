"""Detects faces in an image, crops them, and pastes changes of a crop back."""

CROP_SIZE = 128
"""Default side of a crop in pixels."""
MARGIN = 0.15
"""Default margin on each side of the HOG box, as a fraction of the box; crop.py says why."""
