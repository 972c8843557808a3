"""What all tests share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Within, no garbage is collected: hypothesis has a callback there, in which a KeyboardInterrupt would be lost."""
    gc.disable()
    yield
    gc.enable()
