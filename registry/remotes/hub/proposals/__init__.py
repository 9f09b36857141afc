"""Proposals on the Hub: pull requests, opened, read and accepted."""
