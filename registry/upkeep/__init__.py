"""What keeps a registry well: the collector of what nobody needs, and the doctor."""
