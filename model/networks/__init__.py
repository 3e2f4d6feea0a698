"""Generator, critic and motion."""
