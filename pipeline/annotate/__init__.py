"""Shards and clips to AUs, through any annotator."""
