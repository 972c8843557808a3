"""Filling a large float32 array with random numbers in place: no second array of its size, and on every thread.

An array is filled block by block, each block from a generator of its own that is seeded with the seed and the block's
number. So the values depend on the seed only, whatever the number of threads.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from . import ops

Block = NDArray[np.float32]
Draw = Callable[[np.random.Generator, Block], None]

# Values in a block: 512 KiB, which stays in a core's cache from the drawing to the scaling, and takes long enough to
# fill (1 ms) to hide the 30 us of making a generator. Half of it costs 5 %; twice as much gains nothing.
_BLOCK = 1 << 17


def fill(array: Block, draw: Draw, seed: int | None) -> Block:
    """Fill a C-contiguous array in place with what `draw` puts into its blocks, and return it.

    With ``seed=None`` the seed is one integer from ``np.random``, drawn as Keras 2.2.4 draws it.
    """
    entropy = int(np.random.randint(10**7)) if seed is None else operator.index(seed) % 2**64
    flat = array.reshape(-1)

    def fill_block(number: int) -> None:
        sequence = np.random.SeedSequence(entropy, spawn_key=(number,))
        draw(np.random.Generator(np.random.SFC64(sequence)), flat[number * _BLOCK : (number + 1) * _BLOCK])

    numbers = range(-(-flat.size // _BLOCK))
    num_threads = min(ops.get_num_threads(), len(numbers))
    if num_threads > 1:
        # Here and not at the top: it brings logging along, a good part of the time that importing all of this takes.
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(num_threads) as pool:
            for _ in pool.map(fill_block, numbers):
                pass
    else:
        for number in numbers:
            fill_block(number)
    return array


def uniform(low: float, high: float) -> Draw:
    """Draw evenly from ``[low, high)``; bounds in the other order are exchanged."""
    low, high = min(low, high), max(low, high)
    # Both rounded inwards: the float32 nearest to 0.05 lies above it. Compared as float: NumPy would round `low` first.
    first, last = np.float32(low), np.float32(high)
    if float(first) < low:
        first = np.nextafter(first, np.float32(math.inf))
    if float(last) >= high:
        last = np.nextafter(last, np.float32(-math.inf))
    if last < first:  # no float32 lies between the bounds
        first = last = np.float32(low)
    span = np.float32(high - low)

    def draw(generator: np.random.Generator, block: Block) -> None:
        generator.random(dtype=np.float32, out=block)
        block *= span
        block += first
        np.clip(block, first, last, out=block)

    return draw


def normal(mean: float, stddev: float) -> Draw:
    """Draw from a normal distribution."""

    def draw(generator: np.random.Generator, block: Block) -> None:
        generator.standard_normal(dtype=np.float32, out=block)
        block *= np.float32(stddev)
        block += np.float32(mean)

    return draw


def truncated_normal(mean: float, stddev: float) -> Draw:
    """Draw from a normal distribution; draw again what is two standard deviations or more from the mean."""

    def draw(generator: np.random.Generator, block: Block) -> None:
        generator.standard_normal(dtype=np.float32, out=block)
        far = np.flatnonzero(np.abs(block) >= 2)
        while far.size:
            block[far] = generator.standard_normal(far.size, dtype=np.float32)
            far = far[np.abs(block[far]) >= 2]
        block *= np.float32(stddev)
        block += np.float32(mean)

    return draw
