"""Bugs planted on purpose, to see that the tests notice: `python -m tests.mutation`."""
