"""What a delta does to one tensor: one operation a file, found by entry points."""
