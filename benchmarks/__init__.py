"""Benchmarks: `python -m benchmarks` compares with other libraries, test_speed.py follows fastembed's own speed."""
