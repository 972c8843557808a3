"""How many threads a call gets.

In this order: the call's own `num_threads`; `with num_threads(n)` around it; `set_num_threads(n)`; the environment
variable FASTEMBED_NUM_THREADS, then OMP_NUM_THREADS; the CPUs this process may use (affinity and container quota).
Small calls stay on one thread whatever the number: the cut-off is in the kernels.
"""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path

from fastembed._native import kernels
from fastembed.ops import _check

_VARIABLES = ("FASTEMBED_NUM_THREADS", "OMP_NUM_THREADS")

_source = ""


def set_num_threads(num_threads: int | None) -> None:
    """Sets how many threads a call may use at most, in the whole process.

    Args:
        num_threads: a positive integer, or None for the default: FASTEMBED_NUM_THREADS, else OMP_NUM_THREADS, else the
            CPUs this process may use.

    Raises:
        TypeError: not an integer. ValueError: below 1, or above 256.
    """
    global _source
    if num_threads is None:
        number, _source = _default()
    else:
        number, _source = checked(num_threads), "set_num_threads"
    kernels.set_default_threads(number)


def get_num_threads() -> int:
    """Returns how many threads a call from here may use at most."""
    return int(kernels.current_threads())


class num_threads(kernels.LocalThreads):
    """A context in which this thread's calls use at most `n` threads: `with fastembed.num_threads(1): ...`.

    Other threads keep their setting. Contexts nest; a call's own `num_threads` argument goes before them. A context is
    left on the thread that entered it, and before those around it: no `await` belongs into one.

    Args:
        n: a positive integer.

    Raises:
        TypeError: not an integer. ValueError: below 1, or above 256.
    """

    def __init__(self, n: int) -> None:
        super().__init__(checked(n))


def checked(num_threads: int) -> int:
    """A number of threads that may be asked for."""
    number = _check.integer("num_threads", num_threads)
    if not 1 <= number <= kernels.max_threads():
        raise ValueError(f"`num_threads` must be from 1 to {kernels.max_threads()}. Received: {number}.")
    return number


def describe() -> str:
    """The number of threads and where it came from, as `show_versions` prints it."""
    number = get_num_threads()
    default = kernels.default_threads_now()
    return f"{number} ({_source if number == default else 'num_threads context'})"


def _default() -> tuple[int, str]:
    """The number of threads when nobody set one, and where it comes from."""
    for variable in _VARIABLES:
        text = os.environ.get(variable, "").strip()
        if not text:
            continue
        first = text.split(",")[0].strip()  # OpenMP allows a list, one number a nesting level
        if first.isdecimal() and len(first) < 10 and int(first) >= 1:
            return min(int(first), kernels.max_threads()), variable
        warnings.warn(
            f"{variable}={text!r} is not a positive whole number; it is ignored.", RuntimeWarning, stacklevel=2
        )
    return usable_cpus(), "the CPUs this process may use"


def usable_cpus() -> int:
    """CPUs this process may use: those of its affinity mask, cut to its control group's quota; at least 1."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return max(1, min(cpus, kernels.max_threads(), math.ceil(quota) if quota else cpus))


def _quota(membership: Path, root: Path) -> float | None:
    """CPUs that this process's control group and those above it allow (cgroup 2 and 1); None without a limit."""
    limits = []
    try:
        lines = membership.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon:
            continue
        if controllers == "":
            base = root
        elif "cpu" in controllers.split(","):
            base = root / controllers if (root / controllers).is_dir() else root / "cpu"
        else:
            continue
        folder = base / path.lstrip("/")
        # inside a container the path may be the host's, and the container's own group is mounted at the root
        for group in (folder, *folder.parents):
            limits.append(_group_quota(group))
            if group == base:
                break
    return min((limit for limit in limits if limit), default=None)


def _group_quota(group: Path) -> float | None:
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        return int(quota) / int(period) if quota != "max" and int(quota) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


set_num_threads(None)
