"""Models on the Hub, as bases: which files, and the cache that they lie in."""
