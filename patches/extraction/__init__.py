"""A patch out of two checkpoints: the smallest operations that give the very bytes back."""
