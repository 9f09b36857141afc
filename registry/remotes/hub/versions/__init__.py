"""Versions on the Hub: a commit each, and the tag that publishes it."""
