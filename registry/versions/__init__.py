"""Versions: how one comes in, is found, and is read."""
