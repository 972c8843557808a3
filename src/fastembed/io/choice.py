"""Which of the tables in a file is meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastembed.io._error import FormatError

# How many candidates an error lists.
_SHOWN = 20


def choose(tables: Mapping[str, tuple[tuple[int, ...], Any]], name: str | None, path: str) -> str:
    """The name of the one table, or of the one asked for.

    Args:
        tables: name to shape and dtype.
        name: which, or None for the only one.
        path: for errors.

    Raises:
        FormatError: there is no table.
        ValueError: there are several and `name` is None, or none of this name; the error lists them.
    """
    if not tables:
        raise FormatError(f"{path}: holds no table: an array of 2 dimensions, of floats.")
    if name is None and len(tables) == 1:
        return next(iter(tables))
    if name in tables:
        return str(name)
    shown = [f"{key!r} {shape} {dtype}" for key, (shape, dtype) in list(tables.items())[:_SHOWN]]
    if len(tables) > _SHOWN:
        shown.append(f"and {len(tables) - _SHOWN} more")
    count = f"{len(tables)} tables" if len(tables) > 1 else "1 table"
    asked = "pass `name`, one of them" if name is None else f"none is named {name!r}"
    raise ValueError(f"{path}: holds {count}; {asked}: {', '.join(shown)}.")
