from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

def is_compiled(dtype: np.dtype[Any]) -> bool: ...
def fill_rows(
    sequences: tuple[Any, ...],
    out: NDArray[Any],
    padding: NDArray[Any],
    keep_start: bool,
    at_start: bool,
    slow: Callable[[int, Any], None],
) -> None: ...
def join(parts: tuple[Any, ...]) -> tuple[NDArray[Any], NDArray[np.intp]] | None: ...
