"""What the package promises when things go wrong; `python -m tests.reliability` prints each figure (see SECURITY.md)."""
