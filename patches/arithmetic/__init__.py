"""Numbers: storage types, the grid of exact factors, and the rounded sum."""
