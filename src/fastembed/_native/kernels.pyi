import mmap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Literal, TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

from fastembed.ops._slices import IndexedSlices

_Mode: TypeAlias = Literal["raise", "clip", "wrap", "zero"]
_Reduce: TypeAlias = Literal["sum", "mean", "max", "sqrtn"]
_Ids: TypeAlias = ArrayLike | Sequence[Any]

class _BuildInfo(TypedDict):
    compiler: str
    cython: str
    cpu_path: str
    cpu_paths: list[str]

def gather(
    table: NDArray[np.float32],
    ids: _Ids,
    *,
    out: NDArray[np.float32] | None = None,
    mode: _Mode = "raise",
    num_threads: int | None = None,
) -> NDArray[np.float32]: ...
def gather_with_mask(
    table: NDArray[np.float32],
    ids: _Ids,
    *,
    padding_id: int = 0,
    out: NDArray[np.float32] | None = None,
    mask_out: NDArray[np.bool_] | None = None,
    mode: _Mode = "raise",
    num_threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]: ...
def mask(
    ids: _Ids, padding_id: int = 0, *, out: NDArray[np.bool_] | None = None, num_threads: int | None = None
) -> NDArray[np.bool_]: ...
def embedding_bag(
    table: NDArray[np.float32],
    ids: _Ids,
    *,
    reduce: _Reduce = "mean",
    offsets: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    weights: ArrayLike | Sequence[Any] | None = None,
    padding_id: int | None = None,
    include_last_offset: bool | None = None,
    out: NDArray[np.float32] | None = None,
    mode: _Mode = "raise",
    num_threads: int | None = None,
) -> NDArray[np.float32]: ...
def embedding_bag_max_positions(
    table: NDArray[np.float32],
    ids: _Ids,
    *,
    offsets: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    padding_id: int | None = None,
    include_last_offset: bool | None = None,
    mode: _Mode = "raise",
    num_threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.intp]]: ...
def new_table(shape: Sequence[int]) -> NDArray[np.float32]: ...
def embedding_grad(
    ids: _Ids,
    output_grad: ArrayLike,
    num_rows: int,
    *,
    padding_id: int | None = None,
    num_threads: int | None = None,
) -> IndexedSlices: ...
def embedding_bag_grad(
    ids: _Ids,
    output_grad: ArrayLike,
    num_rows: int,
    *,
    reduce: _Reduce = "mean",
    offsets: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    weights: ArrayLike | Sequence[Any] | None = None,
    padding_id: int | None = None,
    include_last_offset: bool | None = None,
    table: NDArray[np.float32] | None = None,
    num_threads: int | None = None,
) -> IndexedSlices: ...
@final
class RowSums:
    @property
    def dense_shape(self) -> tuple[int, int]: ...
    @property
    def indices(self) -> NDArray[np.intp]: ...
    def summed(self) -> IndexedSlices: ...
    def to_dense(self) -> NDArray[np.float32]: ...
    def reads(self, array: NDArray[Any]) -> bool: ...

def embedding_row_sums(
    ids: _Ids,
    output_grad: ArrayLike,
    num_rows: int,
    *,
    padding_id: int | None = None,
    num_threads: int | None = None,
    function: str = "embedding_grad",
) -> RowSums: ...
def embedding_bag_row_sums(
    ids: _Ids,
    output_grad: ArrayLike,
    num_rows: int,
    reduce: _Reduce = "mean",
    offsets: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    weights: ArrayLike | Sequence[Any] | None = None,
    padding_id: int | None = None,
    include_last_offset: bool | None = None,
    table: NDArray[np.float32] | None = None,
    num_threads: int | None = None,
) -> RowSums: ...
def scatter_add(
    table: NDArray[np.float32],
    ids: _Ids,
    values: ArrayLike,
    alpha: float = 1.0,
    *,
    num_threads: int | None = None,
) -> None: ...

RULES: dict[str, tuple[int, int]]
SERIES_TERMS: int

def rising_rows(indices: NDArray[Any], num_rows: int) -> NDArray[np.intp] | None: ...
def stays(array: NDArray[Any], tables: list[NDArray[np.float32]]) -> bool: ...
def copy_all(outs: list[NDArray[np.float32]], arrays: list[NDArray[Any]]) -> None: ...
def prepare_update(
    table: Any,
    state: Any,
    frozen: Any,
    rule: Any,
    last: Any,
    now: Any,
    numbers: Any,
    powers: Any,
    series: Any,
    series_from: Any,
    cutoff: Any,
    zeros: Any,
    non_negative: Any,
    gradient: Any,
    every_row: Any,
    l1: Any,
    l2: Any,
    scale: Any,
    clip: Any,
    norm: Any,
    sums: Any,
    gains: Any,
) -> Any: ...
def run_updates(updates: list[Any], done: list[Any]) -> None: ...
def settle_rows(
    table: Any,
    state: Any,
    frozen: Any,
    rule: Any,
    last: Any,
    now: Any,
    numbers: Any,
    powers: Any,
    series: Any,
    series_from: Any,
    cutoff: Any,
    zeros: Any,
    non_negative: Any,
    ids: Any,
) -> None: ...
def column_squares(table: NDArray[np.float32], frozen: NDArray[np.bool_] | None) -> NDArray[np.float64]: ...
def scale_columns(
    table: NDArray[np.float32], frozen: NDArray[np.bool_] | None, factors: NDArray[np.float32], divide: bool
) -> None: ...
def squared_error(
    targets: Any, outputs: Any, shares: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None: ...
def watch(mapping: mmap.mmap) -> int: ...
def forget(token: int) -> None: ...
def check_whole(*arrays: object) -> None: ...

@final
class Guard:
    debtor: Any
    def gather(self, table: NDArray[np.float32], ids: _Ids) -> NDArray[np.float32]: ...

def reading(guards: Iterable[Guard]) -> AbstractContextManager[None]: ...
def settling(guards: Iterable[Guard]) -> AbstractContextManager[None]: ...
def writing(guards: Iterable[Guard]) -> AbstractContextManager[None]: ...
def holds_any() -> bool: ...
def holds(guards: tuple[Guard, ...]) -> bool: ...
def set_default_threads(threads: int) -> None: ...
def set_local_threads(threads: int) -> int: ...

@disjoint_base
class LocalThreads:
    def __init__(self, threads: int) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

def current_threads() -> int: ...
def default_threads_now() -> int: ...
def max_threads() -> int: ...
def note_main_thread() -> None: ...
def stop_workers() -> None: ...
def run_capsule() -> object: ...
def set_output_cache(nbytes: int) -> None: ...
def clear_output_cache() -> None: ...
def output_cache_bytes() -> tuple[int, int]: ...
def set_streaming(nbytes: int, dim: int) -> tuple[int, int]: ...
def streams(nbytes: int, dim: int) -> bool: ...
def use_path(name: str | None = None) -> str: ...
def available_paths() -> list[str]: ...
def build_info() -> _BuildInfo: ...
