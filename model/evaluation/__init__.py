"""Evaluate generators on faces that they were not trained on."""
