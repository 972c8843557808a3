"""Where figures were measured: processor, caches, memory, versions."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
from pathlib import Path

from fastembed._bench import peers
from fastembed._versions import versions

# Where the name to import and the name to install differ.
_DISTRIBUTIONS = {"fastembed": ("fastembed-gather",), "tensorflow": ("tensorflow", "tensorflow-cpu")}


def describe() -> dict[str, str]:
    """Processor, caches, memory and every version that a figure depends on, name and value."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = {"processor": f"{_processor()}, {usable} CPUs usable", "caches": _caches()}
    found["huge pages"] = _read("/sys/kernel/mm/transparent_hugepage/enabled")
    found |= versions()
    found |= {peer: version_of(peer) for peer in peers.installed() if peer not in ("fastembed", "numpy")}
    return {name: value for name, value in found.items() if value}


def version_of(peer: str) -> str:
    """The installed version of a peer, or "" where it is not installed under its own name."""
    for name in _DISTRIBUTIONS.get(peer, (peer,)):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return ""


def _processor() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _caches() -> str:
    """As "L1 48K, L2 2048K, L3 36608K": those of the first CPU that hold data."""
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if _read(folder / "type") != "Instruction":
            found.append(f"L{_read(folder / 'level')} {_read(folder / 'size')}")
    return ", ".join(found)


def last_cache_bytes() -> int:
    """The size of the first CPU's largest cache; 0 where the system does not say."""
    sizes = [_read(file) for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    known = [size for size in sizes if size[:-1].isdigit()]
    return max((int(size[:-1]) << (10 if size.endswith("K") else 20) for size in known), default=0)


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
