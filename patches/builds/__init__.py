"""Builds: patched checkpoints on disk, made, checked and undone."""
