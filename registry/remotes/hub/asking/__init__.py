"""Requests to the Hub: limits of time, waits, repeats, and its failures as errors of ours."""
