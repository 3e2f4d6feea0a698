"""A generator applied to photographs and crops."""
