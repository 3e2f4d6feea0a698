"""Generators and critics, and generators in use."""
