"""weightpatch: a registry of model edits."""
