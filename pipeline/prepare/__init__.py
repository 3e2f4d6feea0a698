"""Photographs and clips to shards."""
