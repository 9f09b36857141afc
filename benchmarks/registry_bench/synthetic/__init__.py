"""Registries of any size that look like grown ones: the same rows for the same size, each time."""
