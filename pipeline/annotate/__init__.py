"""Annotation of shards and clips, by any annotator."""
