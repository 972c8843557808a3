"""What a loader must not do, seen while it reads: other files, imports, running something; memory; time."""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEMORY, SECONDS = 16 << 20, 5.0
# Events of the interpreter that reading a file has no business to cause.
_FORBIDDEN = (
    "exec", "compile", "import", "os.", "subprocess.", "socket.", "ctypes.", "pickle.", "marshal.", "shutil.", "pty.",
    "tempfile.", "glob.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "signal.", "sys.", "code.",
)  # fmt: skip


class Finding(Exception):
    """A loader did what it must not do."""


class Watch:
    """Watches calls from now on; the interpreter's hook cannot be taken away again, so the process is a fuzzer's own.

    Args:
        folder: where the files lie that may be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.slowest = 0.0
        self._folder = str(folder)
        self._active = False
        self._seen: str | None = None
        self._ends = 0
        # a sanitizer reserves terabytes of addresses
        self._limited = sys.platform.startswith("linux") and "san.so" not in os.environ.get("LD_PRELOAD", "")
        sys.addaudithook(self._hook)

    def call(self, read: Callable[[], object], size: int) -> None:
        """Run `read` on a file of so many bytes; its exceptions pass through.

        Raises:
            Finding: something forbidden happened, it took more than 16 MiB and twice the file, or 5 seconds.
        """
        self._seen = None
        began = time.perf_counter()
        try:
            self._limit_memory(size, fresh=False)
            self._active = True
            try:
                read()
            except MemoryError:
                # what earlier files left behind may have taken it: once more, with the whole allowance
                self._active = False
                gc.collect()
                self._limit_memory(size, fresh=True)
                self._active = True
                try:
                    read()
                except MemoryError as error:
                    raise Finding("takes more memory than 16 MiB and twice the file") from error
        finally:
            self._active = False
            self._unlimit_memory()
            seconds = time.perf_counter() - began
            self.slowest = max(self.slowest, seconds)
            if self._seen is not None:
                raise Finding(self._seen)
            if seconds > SECONDS:
                raise Finding(f"takes {seconds:.1f} s")

    def _limit_memory(self, size: int, fresh: bool) -> None:
        if not self._limited:
            return
        if fresh or not self._ends:
            with open("/proc/self/statm", encoding="ascii") as file:
                self._ends = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (self._ends + MEMORY + 2 * size, resource.RLIM_INFINITY))

    def _unlimit_memory(self) -> None:
        if self._limited:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._active or self._seen is not None:
            return
        if event == "open":
            path, _, flags = arguments
            inside = isinstance(path, int) or str(path).startswith(self._folder)
            if not inside or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                self._seen = f"opens {path!r}"
        elif event.startswith(_FORBIDDEN) and not (event == "compile" and arguments[1] == "<unknown>"):
            # ast.literal_eval compiles to a tree, for "<unknown>", and runs nothing
            self._seen = f"{event} {arguments[:1]!r:.200}"
