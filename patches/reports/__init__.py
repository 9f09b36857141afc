"""Versions side by side: one table and one picture of what their evaluations say."""
