"""How each library does each operation, at its best settings, with a given number of threads.

A peer is a function (table, ids, threads) -> {operation: the statement its user would write}. It runs in a process of
its own, so that it may set threads for the whole process, before its library is imported where that is the only way.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from fastembed._bench.compiled_peers import jax, numba
from fastembed._bench.onnx_model import gather_model
from fastembed._bench.operations import Call, Ids, Table, output


def _numpy(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    # mode="raise", the default, makes NumPy gather into a buffer and copy it to `out`
    names = {"take": np.take, "table": table, "ids": ids, "out": output(table, ids)}
    return {"out": Call("take(table, ids, axis=0, out=out, mode='clip')", names)}


def _fastembed(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    from fastembed import ops

    ops.set_num_threads(threads)
    names: dict[str, Any] = {"gather": ops.gather, "with_mask": ops.gather_with_mask, "mask": ops.mask}
    names |= {"bag": ops.embedding_bag, "table": table, "ids": ids}
    calls = {
        "gather": Call("gather(table, ids)", names),
        "out": Call("gather(table, ids, out=out)", {**names, "out": output(table, ids)}),
        "gather+mask": Call("with_mask(table, ids)", names, tuple),
        "mask": Call("mask(ids)", names),
        "bag": Call("bag(table, ids, padding_id=0)", names),
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
    out = output(table, ids)
    if ids.dtype not in (np.int32, np.int64):   # what torch takes; its user converts
        ids = ids.astype(np.int64)
    names = {
        "embedding": torch.nn.functional.embedding,
        "embedding_bag": torch.nn.functional.embedding_bag,
        "index_select": torch.index_select,
        "table": torch.from_numpy(table),
        "ids": torch.from_numpy(ids),
        "flat": torch.from_numpy(ids).view(-1),
        "out": torch.from_numpy(out).view(-1, table.shape[1]),
    }

    def to_numpy(tensor: Any) -> tuple[Any, ...]:
        return (tensor.numpy(),)

    return {
        "gather": Call("embedding(ids, table)", names, to_numpy),
        "out": Call("index_select(table, 0, flat, out=out)", names, lambda _: (out,)),
        "gather+mask": Call(
            "(embedding(ids, table), ids != 0)", names, lambda both: (both[0].numpy(), both[1].numpy())
        ),
        "mask": Call("ids != 0", names, to_numpy),
        "bag": Call("embedding_bag(ids, table, mode='mean', padding_idx=0)", names, to_numpy),
    }


def _tensorflow(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    tensorflow: Any = importlib.import_module("tensorflow")
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    if ids.dtype not in (np.int32, np.int64):
        ids = ids.astype(np.int32)
    names = {"gather": tensorflow.gather, "not_equal": tensorflow.not_equal}
    names |= {"table": tensorflow.constant(table), "ids": tensorflow.constant(ids)}
    return {
        "gather": Call("gather(table, ids)", names, lambda rows: (rows.numpy(),)),
        "gather+mask": Call(
            "(gather(table, ids), not_equal(ids, 0))", names, lambda both: (both[0].numpy(), both[1].numpy())
        ),
        "mask": Call("not_equal(ids, 0)", names, lambda mask: (mask.numpy(),)),
    }


def _onnxruntime(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    ids = ids.astype(np.int64, copy=False)

    def session(with_mask: bool) -> Any:
        return onnxruntime.InferenceSession(gather_model(with_mask), options, providers=["CPUExecutionProvider"])

    plain = session(False)
    out = output(table, ids)
    binding = plain.io_binding()
    binding.bind_cpu_input("table", table)
    binding.bind_cpu_input("ids", ids)
    binding.bind_output("rows", "cpu", 0, np.float32, out.shape, out.ctypes.data)
    names = {"run": plain.run, "run_masked": session(True).run, "feed": {"table": table, "ids": ids}}
    names |= {"run_bound": plain.run_with_iobinding, "binding": binding}
    return {
        "gather": Call("run(None, feed)", names, tuple),
        "out": Call("run_bound(binding)", names, lambda _: (out,)),
        "gather+mask": Call("run_masked(None, feed)", names, tuple),
    }


PEERS: dict[str, Callable[[Table, Ids, int], dict[str, Call]]] = {
    "fastembed": _fastembed,
    "numpy": _numpy,
    "torch": _torch,
    "tensorflow": _tensorflow,
    "onnxruntime": _onnxruntime,
    "jax": jax,
    "numba": numba,
}


def installed() -> list[str]:
    """The peers that can be imported here, without importing them."""
    return [name for name in PEERS if importlib.util.find_spec(name) is not None]
