"""The append-only log of every change, and what proves that nobody rewrote it."""
