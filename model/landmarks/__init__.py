"""Where the parts of a face are."""
