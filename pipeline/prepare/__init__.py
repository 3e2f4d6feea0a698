"""Turns a folder of photographs and clips into shards."""
