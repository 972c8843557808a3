"""Timing a pair of calls side by side, and what else the machine did meanwhile."""

from __future__ import annotations

import gc
import os
import statistics
import time
import timeit
from dataclasses import dataclass

from fastembed._bench.limit import evictor
from fastembed._bench.operations import Call

# The clock and the loop around a call are lost in a sample of this many seconds.
_SAMPLE_SECONDS = 0.0005
_MAX_PAIRS = 200
# A round is foreign-used when other processes took more than this share of one CPU: about what an idle system takes.
FOREIGN_SHARE = 0.06


@dataclass
class Round:
    """Seconds a call of the baseline and of the peer, pair by pair; `foreign` is other processes' share of a CPU.

    `foreign` is None where the system does not say; `repeated` counts the rounds thrown away before this one.
    """

    base: list[float]
    peer: list[float]
    foreign: float | None
    repeated: int = 0


class Quiet:
    """Waits for moments in which nobody else uses the machine, `patience` seconds in all."""

    def __init__(self, patience: float) -> None:
        self._left = patience

    def wait(self) -> None:
        """Return when the machine has been quiet for a fifth of a second, or the patience is used up."""
        while self._left > 0:
            started, before = time.perf_counter(), foreign_seconds()
            time.sleep(0.2)
            after, took = foreign_seconds(), time.perf_counter() - started
            # two hundredths of a second: as little as the system's clock tells apart
            if before is None or after is None or after - before <= 0.02:
                return
            self._left -= took


def paired_round(base: Call, peer: Call, seconds: float, repeats: int, cold: bool = False) -> Round:
    """Time baseline and peer in turn for about so many seconds; when `cold`, with emptied caches every time.

    When others used the machine meanwhile it is done again, at most `repeats` times; the quietest round is kept.
    """
    setup, names = ("evict()", {"evict": evictor().max}) if cold else ("pass", {})
    timers = [timeit.Timer(call.statement, setup, globals={**call.names, **names}) for call in (base, peer)]
    numbers = [1 if cold else _calls_a_sample(timer) for timer in timers]
    rounds: list[Round] = []
    while True:
        rounds.append(_one_round(timers, numbers, seconds))
        if rounds[-1].foreign is None or rounds[-1].foreign <= FOREIGN_SHARE or len(rounds) > repeats:
            break
    best = min(rounds, key=lambda round_: round_.foreign or 0.0)
    best.repeated = len(rounds) - 1
    return best


def floor(times: list[float]) -> float:
    """The time that a tenth of the samples stay below."""
    return sorted(times)[len(times) // 10]


def call_memory(call: Call) -> float | None:
    """The megabytes that one call adds to the process at its peak; None where the system does not say."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # sets the peak back to the present
        before = _status_mb("VmRSS")
        result = eval(call.statement, dict(call.names))
        del result
        return max(0.0, _status_mb("VmHWM") - before)
    except OSError:
        return None


def peak_memory() -> float | None:
    """The process's peak in megabytes since the last `call_memory`; None where the system does not say."""
    try:
        return _status_mb("VmHWM")
    except OSError:
        return None


def _one_round(timers: list[timeit.Timer], numbers: list[int], seconds: float) -> Round:
    samples: tuple[list[float], list[float]] = ([], [])
    used_before, started = foreign_seconds(), time.perf_counter()
    enabled = gc.isenabled()
    gc.disable()
    try:
        for pair in range(_MAX_PAIRS):
            # A B, then B A: neither always runs in the other's wake
            for which in (0, 1) if pair % 2 == 0 else (1, 0):
                samples[which].append(timers[which].timeit(numbers[which]) / numbers[which])
            if time.perf_counter() - started >= seconds and pair >= 4:
                break
    finally:
        if enabled:
            gc.enable()
    wall, used_after = time.perf_counter() - started, foreign_seconds()
    # The system counts in hundredths of a second: below a round of a tenth that says nothing.
    known = used_before is not None and used_after is not None and wall >= 0.1
    foreign = max(0.0, used_after - used_before) / wall if known else None  # type: ignore[operator]
    return Round(*samples, foreign)


def _calls_a_sample(timer: timeit.Timer) -> int:
    timer.timeit(2)
    return max(1, int(_SAMPLE_SECONDS / max(statistics.median(timer.repeat(3, 1)), 1e-9)))


def foreign_seconds() -> float | None:
    """CPU seconds that everybody but this process has used so far, those taken by a hypervisor included."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK") - time.process_time()


def _status_mb(name: str) -> float:
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
    raise OSError(f"no {name} in /proc/self/status")
