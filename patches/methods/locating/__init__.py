"""Locate, then edit: the key that a subject has, the value it should have, the weights between."""
