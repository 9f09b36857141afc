"""A version as files of a repository: what is fetched and checked, and what is sent."""
