"""The peers whose user writes a function that is compiled: numba and jax."""

from __future__ import annotations

import functools
import importlib
import os
from typing import Any

import numpy as np

from fastembed._bench.operations import Call, Ids, Table, output


@functools.cache
def _numba_kernels() -> dict[str, Any]:
    """Functions of flat ids, compiled once a process; those that gather check the ids, as everybody else does."""
    compiler: Any = importlib.import_module("numba")
    prange = compiler.prange

    @compiler.njit(parallel=True)  # type: ignore[untyped-decorator]
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

    @compiler.njit(parallel=True)  # type: ignore[untyped-decorator]
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

    @compiler.njit(parallel=True)  # type: ignore[untyped-decorator]
    def mask(ids: Any) -> Any:
        out = np.empty(ids.size, np.bool_)
        for i in prange(ids.size):
            out[i] = ids[i] != 0
        return out

    @compiler.njit(parallel=True)  # type: ignore[untyped-decorator]
    def bag(table: Any, ids: Any) -> Any:
        out = np.zeros((ids.shape[0], table.shape[1]), np.float32)
        bad = 0
        for i in prange(ids.shape[0]):
            count = 0
            for k in range(ids.shape[1]):
                row = ids[i, k]
                if 0 < row < table.shape[0]:
                    count += 1
                    for j in range(table.shape[1]):
                        out[i, j] += table[row, j]
                elif row:
                    bad += 1
            for j in range(table.shape[1]):
                out[i, j] /= np.float32(max(count, 1))
        if bad:
            raise IndexError
        return out

    @compiler.njit  # type: ignore[untyped-decorator]
    def gather(table: Any, ids: Any) -> Any:
        return fill(table, ids, np.empty((ids.size, table.shape[1]), np.float32))

    return {"gather": gather, "fill": fill, "masked": masked, "mask": mask, "bag": bag}


def numba(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    compiler: Any = importlib.import_module("numba")
    compiler.set_num_threads(min(threads, compiler.config.NUMBA_NUM_THREADS))
    out = output(table, ids)
    shape = out.shape
    names = {**_numba_kernels(), "table": table, "ids": ids, "flat": ids.reshape(-1), "out": out.reshape(-1, shape[-1])}
    calls = {
        "gather": Call("gather(table, flat)", names, lambda rows: (rows.reshape(shape),)),
        "out": Call("fill(table, flat, out)", names, lambda _: (out,)),
        "gather+mask": Call(
            "masked(table, flat)", names, lambda both: (both[0].reshape(shape), both[1].reshape(ids.shape))
        ),
        "mask": Call("mask(flat)", names, lambda mask: (mask.reshape(ids.shape),)),
    }
    if ids.ndim == 2:
        calls["bag"] = Call("bag(table, ids)", names)
    return calls


def jax(table: Table, ids: Ids, threads: int) -> dict[str, Call]:
    if hasattr(os, "sched_setaffinity"):    # its threads are as many as the CPUs it may use when it is imported
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    library: Any = importlib.import_module("jax")
    jnp = library.numpy

    def take(table: Any, ids: Any) -> Any:
        return jnp.take(table, ids, axis=0, mode="clip")    # the quickest of its modes

    def bag(table: Any, ids: Any) -> Any:
        mask = (ids != 0).astype(jnp.float32)[..., None]
        return (take(table, ids) * mask).sum(axis=-2) / jnp.maximum(mask.sum(axis=-2), 1)

    names = {"take": library.jit(take), "both": library.jit(lambda table, ids: (take(table, ids), ids != 0))}
    names |= {"mask": library.jit(lambda ids: ids != 0), "bag": library.jit(bag), "ready": library.block_until_ready}
    names |= {"table": jnp.asarray(table), "ids": jnp.asarray(ids.astype(np.int32))}

    def to_numpy(array: Any) -> tuple[Any, ...]:
        return (np.asarray(array),)

    calls = {
        "gather": Call("ready(take(table, ids))", names, to_numpy),
        "gather+mask": Call("ready(both(table, ids))", names, lambda both: tuple(map(np.asarray, both))),
        "mask": Call("ready(mask(ids))", names, to_numpy),
    }
    if ids.ndim == 2:
        calls["bag"] = Call("ready(bag(table, ids))", names, to_numpy)
    return calls
