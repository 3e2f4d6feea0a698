"""Decodes image files and video clips into RGB arrays."""
