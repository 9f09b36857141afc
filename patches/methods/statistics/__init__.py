"""What text says about the keys of a layer: second moments, computed once and kept."""
