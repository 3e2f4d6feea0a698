"""AUs that exist already, in files: which face of which photograph each belongs to."""
