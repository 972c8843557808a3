"""The bar that commands show; see `fastembed._meter`."""

from __future__ import annotations

from fastembed._meter import Progress

__all__ = ["Progress"]
