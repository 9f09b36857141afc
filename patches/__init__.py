"""Tensors in, tensors out: no SQL, no network, no environment, no clock."""
