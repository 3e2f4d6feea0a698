"""Picture files and clips to RGB arrays."""
