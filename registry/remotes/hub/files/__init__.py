"""Files of a repository: what is listed, fetched, checked and sent."""
