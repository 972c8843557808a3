"""Sizes past 2**31: the right answer, or an error at once. The table is a hole in a file, so that it takes no room."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fastembed import embedding_bag, embedding_grad, gather
from fastembed.io.npy import open_npy


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="files with holes")
def test_table_of_16_gib_is_looked_up_at_both_ends(tmp_path: Path) -> None:
    rows, dim = 2**26, 64
    path = tmp_path / "table.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, dim)})
        start = file.tell()
        file.truncate(start + rows * dim * 4)
        for value, row in enumerate((0, 2**25, rows - 1), 1):
            file.seek(start + row * dim * 4)
            file.write(np.full(dim, value, np.float32).tobytes())
    table = open_npy(path)
    ids = np.array([rows - 1, 0, 2**25, 2**25 + 1])
    assert gather(table, ids)[:, -1].tolist() == [3, 1, 2, 0]
    assert embedding_bag(table, ids[None, :2], reduce="sum")[0, 0] == 4
    with pytest.raises(IndexError, match="is not in"):
        gather(table, [rows])
    assert embedding_grad(ids, np.ones((4, 2), np.float32), rows).indices.tolist() == [0, 2**25, 2**25 + 1, rows - 1]
    assert os.stat(path).st_blocks * 512 < 2**20


def test_outputs_past_any_memory_are_refused_at_once() -> None:
    wide = np.broadcast_to(np.float32(0), (1, 2**40))
    table = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2**60, 0), (4, 4))
    began = time.monotonic()
    with pytest.raises((ValueError, MemoryError)):
        gather(wide, [0] * 10)  # type: ignore[arg-type]
    assert gather(np.ascontiguousarray(table), [2**59]).shape == (1, 0)
    with pytest.raises(MemoryError):
        gather(np.ones((1, 2**20), np.float32), np.broadcast_to(np.uint8(0), (2**44,))[: 2**28])
    assert time.monotonic() - began < 5
