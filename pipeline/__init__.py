"""Photographs to annotated shards. Knows nothing of torch."""
