"""OpenFace 2.0, in a container or as a program."""
