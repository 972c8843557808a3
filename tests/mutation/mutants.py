"""What a planted bug is: a file, a piece of it that occurs there once, what it becomes, and the tests that must fail.

Fixed by the text of the line, so that a line that changes is noticed: `test_mutants.py` checks that each is found once.
The lists are `c_mutants.py` and `python_mutants.py`; README.md says what became of them.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One bug."""

    file: str  # under src/fastembed
    old: str  # occurs there once
    new: str
    tests: str  # which must fail


def of(file: str, tests: str, *changes: tuple[str, str]) -> list[Mutant]:
    """Bugs of one file that the same tests must notice."""
    return [Mutant(file, old, new, tests) for old, new in changes]
