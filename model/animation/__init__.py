"""Apply a generator to photographs and to crops."""
