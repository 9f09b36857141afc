"""What a registry does with remotes: push, pull, find, propose, review."""
