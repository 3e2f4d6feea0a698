"""Statistics of a shard set, as tables on a terminal and as an HTML page."""
