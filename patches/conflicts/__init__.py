"""What clashes between patches: in the facts, in the weights, in the behaviour."""
