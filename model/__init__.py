"""Annotated shards to a generator, and a generator to pictures."""
