from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

def fill_rows(
    sequences: tuple[Any, ...],
    out: NDArray[Any],
    keep_start: bool,
    at_start: bool,
    slow: Callable[[int, Any], None],
) -> None: ...
