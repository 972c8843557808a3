"""Damaged files for every loader: `python -m tests.fuzz`."""
