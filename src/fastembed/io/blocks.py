"""A stream in blocks, the next of which is read while the last is worked on.

A block begins with what its reader left of the one before. No block is shared with the file: what becomes of the file
meanwhile changes no byte that was checked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from fastembed.io._error import FormatError
from fastembed.io.opening import Stream

# Large enough that a block's fixed cost does not show, small enough for the smallest memory.
BLOCK = 5 * 2**19
# Bytes read at a time: between two of them a reader that is no longer wanted stops.
_PIECE = 2**20


class Blocks:
    """The blocks of a stream; a context manager.

        with Blocks(stream, padding, ahead=True) as blocks:
            while blocks.next(used):        # used: what was done of the last block
                blocks.buffer, blocks.start, blocks.stop, blocks.last

    Args:
        stream: where the bytes come from.
        padding: bytes that the buffer has behind `stop`, of any content.
        ahead: whether a thread of its own reads the next block.
    """

    def __init__(self, stream: Stream, padding: int, *, ahead: bool) -> None:
        self._stream = stream
        # a small file takes a small buffer; one byte more shows its end
        self._size = BLOCK if stream.length is None else max(1, min(BLOCK, stream.length + 1))
        self._margin = self._size
        self._buffers = [np.empty(self._margin + self._size + padding, np.uint8) for _ in range(2)]
        self._ahead = ahead
        self._stopped = False
        self._pending: _Pending | None = None
        self.buffer: NDArray[np.uint8] = self._buffers[1]
        self.start = self.stop = self._margin
        self.last = False

    def __enter__(self) -> Blocks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        self._stream.stop()
        # Ctrl-C may come while a thread starts: one that has not begun finds that it is no longer wanted
        if self._pending is not None and self._pending.ident is not None:
            self._pending.join()

    def next(self, used: int | None = None) -> bool:
        """Go to the next block, which begins with what lies between `used` and the end of this one.

        Returns:
            False when the last block was this one.

        Raises:
            FormatError: what was left fills a block, so that no next one could make it whole.
        """
        if self.last:
            return False
        rest = self.buffer[self.stop if used is None else used : self.stop]
        if len(rest) >= self._margin:
            raise FormatError(f"{self._stream.label}: a row takes more than {self._margin:,} bytes.")
        other = self._buffers[self.buffer is self._buffers[0]]
        count = self._read_now(other) if self._pending is None else self._pending.count()
        other[self._margin - len(rest) : self._margin] = rest
        self.buffer, self.start, self.stop = other, self._margin - len(rest), self._margin + count
        self.last = count < self._size
        self._pending = None
        if not self.last:
            self._fetch()
        return True

    def _fetch(self) -> None:
        if self._ahead:
            self._pending = _Pending(self._read_now, self._buffers[self.buffer is self._buffers[0]])
            self._pending.start()

    def _read_now(self, buffer: NDArray[np.uint8]) -> int:
        view = buffer.data[self._margin : self._margin + self._size]
        done = 0
        while done < self._size and not self._stopped:
            piece = view[done : done + _PIECE]
            count = self._stream.readinto(piece)
            done += count
            if count < len(piece):
                break
        return done


class _Pending(threading.Thread):
    """A block being read. (A thread each: to start one takes less than a hundredth of reading a block.)"""

    def __init__(self, read: Callable[[NDArray[np.uint8]], int], buffer: NDArray[np.uint8]) -> None:
        super().__init__(name="fastembed-read", daemon=True)
        self._read, self._buffer = read, buffer
        self._count = 0
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._count = self._read(self._buffer)
        except BaseException as error:
            self._error = error

    def count(self) -> int:
        """How many bytes were read, or what went wrong."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._count
