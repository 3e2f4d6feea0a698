"""Faces found in a picture, the crop around one, and its inverse."""
