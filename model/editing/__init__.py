"""What is done in use to the masks of a flow generator (docs/editing.md)."""
