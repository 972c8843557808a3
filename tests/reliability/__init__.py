"""What is promised when things go wrong; `python -m tests.reliability` prints each figure (see SECURITY.md)."""
