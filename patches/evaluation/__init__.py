"""How well an edit works: measures, and the suites that ask for them."""
