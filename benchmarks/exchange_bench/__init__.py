"""The parts of benchmarks/exchange.py."""
