"""Memory for the tables that the library owns."""

from fastembed._native.kernels import new_table

__all__ = ["new_table"]
