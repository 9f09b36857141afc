"""Several versions as one: the exact sum, and what people do instead of it."""
