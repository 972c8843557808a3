"""How each library looks rows up, at its best settings, with a given number of threads.

Each peer gives, for each operation it knows, the statement a user would write; timeit runs that very text, so that a
call of 300 ns is not measured through a wrapper of 100. Operations: "gather" (fresh output), "out" (the same output
array each time), "mask" (fresh rows and `ids != 0`), "layer" (fastembed's layer, on the smallest workload).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastembed._bench.onnx_model import gather_model

Table = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Call:
    """A statement and the names in it; `result` turns what it gives into NumPy arrays, rows first."""

    statement: str
    names: Mapping[str, Any]
    result: Callable[[Any], tuple[Any, ...]] = field(default=lambda value: (value,))

    def run(self) -> tuple[Any, ...]:
        return self.result(eval(self.statement, dict(self.names)))


def numpy_baseline(table: Table, ids: Ids) -> dict[str, Call]:
    """What every operation is paired with: the plain NumPy a user would write."""
    names = {"take": np.take, "table": table, "ids": ids}
    gather = Call("take(table, ids, axis=0)", names)
    mask = Call("(take(table, ids, axis=0), ids != 0)", names, tuple)
    return {"gather": gather, "out": gather, "mask": mask, "layer": gather}


def _numpy(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    # mode="raise", the default, makes NumPy gather into a buffer and copy it to `out`
    names = {"take": np.take, "table": table, "ids": ids, "out": _output(table, ids)}
    return {"out": Call("take(table, ids, axis=0, out=out, mode='clip')", names)}


def _fastembed(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    from fastembed import ops

    ops.set_num_threads(threads)
    names = {"gather": ops.gather, "with_mask": ops.gather_with_mask, "table": table, "ids": ids}
    calls = {
        "gather": Call("gather(table, ids)", names),
        "out": Call("gather(table, ids, out=out)", {**names, "out": _output(table, ids)}),
        "mask": Call("with_mask(table, ids)", names, tuple),
    }
    if table.size < 100:
        from fastembed.layers import Embedding

        layer = Embedding(*table.shape, weights=[table])
        layer(ids)
        calls["layer"] = Call("layer(ids)", {"layer": layer, "ids": ids})
    return calls


def _torch(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(threads)
    torch.inference_mode().__enter__()
    out = _output(table, ids)
    names = {
        "embedding": torch.nn.functional.embedding,
        "index_select": torch.index_select,
        "table": torch.from_numpy(table),
        "ids": torch.from_numpy(ids),
        "flat": torch.from_numpy(ids).view(-1),
        "out": torch.from_numpy(out).view(-1, table.shape[1]),
    }
    return {
        "gather": Call("embedding(ids, table)", names, lambda rows: (rows.numpy(),)),
        "out": Call("index_select(table, 0, flat, out=out)", names, lambda _: (out,)),
        "mask": Call("(embedding(ids, table), ids != 0)", names, lambda both: (both[0].numpy(), both[1].numpy())),
    }


def _onnxruntime(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1

    def session(with_mask: bool) -> Any:
        return onnxruntime.InferenceSession(gather_model(with_mask), options, providers=["CPUExecutionProvider"])

    plain = session(False)
    out = _output(table, ids)
    binding = plain.io_binding()
    binding.bind_cpu_input("table", table)
    binding.bind_cpu_input("ids", ids)
    binding.bind_output("rows", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    names = {"run": plain.run, "run_masked": session(True).run, "feed": {"table": table, "ids": ids}}
    names |= {"run_bound": plain.run_with_iobinding, "binding": binding}
    return {
        "gather": Call("run(None, feed)", names, tuple),
        "out": Call("run_bound(binding)", names, lambda _: (out,)),
        "mask": Call("run_masked(None, feed)", names, tuple),
    }


@functools.cache
def _numba_kernels() -> tuple[Any, Any, Any]:
    """gather, fill and masked on flat ids, compiled once a process; they check the ids, as everybody else does."""
    numba: Any = importlib.import_module("numba")
    prange = numba.prange

    @numba.njit(parallel=True)  # type: ignore[untyped-decorator]
    def fill(table: Any, ids: Any, out: Any) -> Any:
        bad = 0
        for i in prange(ids.size):
            row = ids[i]
            if 0 <= row < table.shape[0]:
                for j in range(table.shape[1]):
                    out[i, j] = table[row, j]
            else:
                bad += 1
        if bad:
            raise IndexError
        return out

    @numba.njit(parallel=True)  # type: ignore[untyped-decorator]
    def masked(table: Any, ids: Any) -> Any:
        out = np.empty((ids.size, table.shape[1]), np.float32)
        mask = np.empty(ids.size, np.bool_)
        bad = 0
        for i in prange(ids.size):
            row = ids[i]
            mask[i] = row != 0
            if 0 <= row < table.shape[0]:
                for j in range(table.shape[1]):
                    out[i, j] = table[row, j]
            else:
                bad += 1
        if bad:
            raise IndexError
        return out, mask

    @numba.njit  # type: ignore[untyped-decorator]
    def gather(table: Any, ids: Any) -> Any:
        return fill(table, ids, np.empty((ids.size, table.shape[1]), np.float32))

    return gather, fill, masked


def _numba(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    numba: Any = importlib.import_module("numba")
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    gather, fill, masked = _numba_kernels()
    out = _output(table, ids)
    shape = out.shape
    names = {"gather": gather, "fill": fill, "masked": masked, "table": table, "flat": ids.reshape(-1)}
    return {
        "gather": Call("gather(table, flat)", names, lambda rows: (rows.reshape(shape),)),
        "out": Call("fill(table, flat, out)", {**names, "out": out.reshape(-1, shape[-1])}, lambda _: (out,)),
        "mask": Call("masked(table, flat)", names, lambda both: (both[0].reshape(shape), both[1].reshape(ids.shape))),
    }


PEERS: dict[str, Callable[[Table, Ids, int], dict[str, Call]]] = {
    "fastembed": _fastembed,
    "numpy": _numpy,
    "torch": _torch,
    "onnxruntime": _onnxruntime,
    "numba": _numba,
}


def installed() -> list[str]:
    """The peers that can be imported here, without importing them."""
    return [name for name in PEERS if importlib.util.find_spec(name) is not None]


def _output(table: Table, ids: Ids) -> Table:
    return np.zeros((*ids.shape, table.shape[1]), np.float32)
