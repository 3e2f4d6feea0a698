"""From annotated faces to a generator."""
