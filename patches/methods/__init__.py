"""How patches are made: one editing method a file, found by entry points."""
