"""OpenFace 2.0, run in a container or as a local program."""
