"""Faces found in a picture, the crop around one, and its inverse."""

CROP_SIZE = 128
"""Side of a crop, in pixels."""
MARGIN = 0.15
"""Margin on each side of the HOG box, as a fraction of its side; crop.py says why."""
