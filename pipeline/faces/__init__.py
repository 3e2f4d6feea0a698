"""Detects faces in an image, crops them, and pastes changes of a crop back."""
