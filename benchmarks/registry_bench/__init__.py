"""What `benchmarks/registry.py` measures, how it measures, and how it writes down what it found."""
