"""Bases: checkpoints on disk and in memory, and where an architecture keeps its parts."""
