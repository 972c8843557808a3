"""Each planted bug is found once in the sources, and is a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from .c_mutants import C
from .python_mutants import PYTHON

SOURCE = Path(__file__).parents[2] / "src" / "fastembed"


@pytest.mark.skipif(not SOURCE.is_dir(), reason="the sources are not here")
def test_every_mutant_is_found_once() -> None:
    for mutant in (*C, *PYTHON):
        text = (SOURCE / mutant.file).read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, (mutant.file, mutant.old)
        assert mutant.new != mutant.old
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in (*C, *PYTHON)}) == len(C) + len(PYTHON)
    assert len(C) <= 150
    assert len(PYTHON) <= 150
