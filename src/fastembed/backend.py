"""The little of Keras's backend that layers need: numbers for automatic names, and two constants."""

from __future__ import annotations

from collections import Counter

_uids: Counter[str] = Counter()


def get_uid(prefix: str = "") -> int:
    """Return the next number for a prefix: 1, then 2, and so on.

    A layer without a name is called after its class and the next number for the class name.
    """
    _uids[prefix] += 1
    return _uids[prefix]


def reset_uids() -> None:
    """Start all numbers again at 1."""
    _uids.clear()


def clear_session() -> None:
    """Forget what earlier layers left behind: the numbers for automatic names. Layers stay as they are."""
    reset_uids()


def floatx() -> str:
    """Return the dtype of tables and outputs: always ``"float32"``."""
    return "float32"


def epsilon() -> float:
    """Return the small number that keeps divisions from zero: 1e-7."""
    return 1e-7
