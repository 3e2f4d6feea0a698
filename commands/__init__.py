"""One file per command; each holds a click command that has the name of its file."""
