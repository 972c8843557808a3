"""Walks through the calls and saves of `cases`, failing one allocation or system call after the other.

Run by test_failures.py under LD_PRELOAD of fail_nth.so. Prints a line a case: how many failed, and what went wrong.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from pickle import PicklingError
from typing import Any

import numpy as np

import fastembed

from .cases import CALLS, SAVES

KINDS = {"memory": 1, "write": 2, "fsync": 3, "rename": 4, "open": 5}


def failing(library: Any, kind: int, run: Callable[[], Any]) -> Iterator[tuple[int, Any]]:
    """Runs with the first call of a kind failed, then the second, ...: the number, and what was raised or returned."""
    for n in range(1, 100_000):
        result: Any = None
        try:
            library.fail_arm(kind, n)
            result = run()
        except BaseException as error:
            result = error
        try:
            happened = library.fail_disarm() < 0
        except MemoryError:  # calling it takes memory too
            happened = library.fail_disarm() < 0
        if not happened:
            return
        yield n, result


def same(a: Any, b: Any) -> bool:
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(one, other) for one, other in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a.shape == np.shape(b) and a.tobytes() == np.asarray(b).tobytes()
    return bool(a == b)


def walk_memory(library: Any) -> None:
    for name, make in CALLS.items():
        call = make()
        expected = call.run()
        after = call.state()
        call.reset()
        before = call.state()
        troubles: dict[str, int] = {}
        count = 0
        for n, result in failing(library, KINDS["memory"], call.run):
            count = n
            # CPython's pickle and NumPy's ufuncs do not say MemoryError where they should
            if isinstance(result, (MemoryError, PicklingError, SystemError)):
                if not same(call.state(), before):
                    troubles.setdefault("state changed", n)
                # the next call works
                if not (same(call.run(), expected) and same(call.state(), after)):
                    troubles.setdefault("next call wrong", n)
            elif isinstance(result, BaseException):
                troubles.setdefault(f"{type(result).__name__}: {result}", n)
            elif not (same(result, expected) and same(call.state(), after)):
                troubles.setdefault("wrong result", n)  # it did without that memory, but not well
            call.reset()
            fastembed.clear_output_cache()
        words = "".join(f", {trouble} (allocation {n})" for trouble, n in troubles.items())
        print(f"{name}: {count} failed{words}", flush=True)


def walk_saves(library: Any, kind: str, folder: Path) -> None:
    for name, way in SAVES.items():
        path = folder / f"file{way.suffix}"
        way.save(path)
        way.save(path)
        whole = path.read_bytes()
        old = whole + b"old"
        count, troubles = 0, ""
        path.write_bytes(old)
        for n, result in failing(library, KINDS[kind], lambda way=way, path=path: way.save(path)):  # type: ignore[misc]
            count = n
            found = path.read_bytes()
            if not isinstance(result, OSError):
                troubles += f", {n}: {result!r}"
            elif result.filename not in (str(path), path):
                troubles += f", {n}: names {result.filename}"
            # the folder is synced after the rename: the new file is there then
            if found != old and not (kind in ("fsync", "open") and found == whole):
                troubles += f", {n}: neither old nor new"
            if os.listdir(folder) != [path.name]:
                troubles += f", {n}: left {os.listdir(folder)}"
            path.write_bytes(old)
        way.save(path)
        way.load(path)
        if path.read_bytes() != whole:
            troubles += ", the next save is wrong"
        path.unlink()
        print(f"{name}: {count} failed{troubles}", flush=True)


def main(arguments: list[str]) -> None:
    library = ctypes.CDLL(arguments[0])
    library.fail_arm.argtypes = [ctypes.c_int, ctypes.c_long]
    library.fail_disarm.restype = ctypes.c_long
    sys.unraisablehook = lambda unraisable: None  # a generator that cannot be closed for want of memory
    gc.disable()  # when it runs is not to depend on which allocation fails
    sys.setrecursionlimit(10_000)
    if arguments[1] == "memory":
        walk_memory(library)
    else:
        walk_saves(library, arguments[1], Path(arguments[2]))
