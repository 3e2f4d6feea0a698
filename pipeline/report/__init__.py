"""A shard set in figures, as tables and as a page."""
