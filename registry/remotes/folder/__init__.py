"""A folder as a remote: a shared drive, an air-gapped site, a test."""
