"""Patches out of what other tools made, and the other way round: PEFT adapters, plain tensors."""
