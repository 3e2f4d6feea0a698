"""Facial landmarks: detection, alignment, and dlib's models."""
