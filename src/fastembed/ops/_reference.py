"""What each function of `fastembed.ops` means, in plain NumPy.

Tests and benchmarks compare with these; nothing else imports them. Arguments are assumed to be valid: a contiguous
float32 table and integer ids.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def gather(table: NDArray[np.float32], ids: NDArray[np.integer], *, mode: str = "raise") -> NDArray[np.float32]:
    """rows[i, j, ...] = table[ids[i, j, ...]]"""
    ids = np.asarray(ids)
    num_rows = len(table)
    # Python integers: exact for every dtype, uint64 included
    wanted = [int(i) for i in ids.reshape(-1)]
    rows = np.zeros((len(wanted), table.shape[1]), np.float32)
    for position, i in enumerate(wanted):
        if mode == "clip" and num_rows:
            i = min(max(i, 0), num_rows - 1)
        elif mode == "wrap" and num_rows:
            i %= num_rows
        if 0 <= i < num_rows:
            rows[position] = table[i]
        elif mode != "zero":
            raise IndexError(position, i)
    return rows.reshape((*ids.shape, table.shape[1]))


def gather_with_mask(
    table: NDArray[np.float32], ids: NDArray[np.integer], *, padding_id: int = 0, mode: str = "raise"
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """mask = ids != padding_id; rows = gather(table, ids), where a padding id outside the table gives zeros."""
    ids = np.asarray(ids)
    mask = np.array([int(i) != padding_id for i in ids.reshape(-1)], bool).reshape(ids.shape)
    if 0 <= padding_id < len(table):
        return gather(table, ids, mode=mode), mask
    rows = np.zeros((*ids.shape, table.shape[1]), np.float32)
    rows[mask] = gather(table, ids[mask], mode=mode)
    return rows, mask
