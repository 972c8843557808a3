"""The process that one peer gets: `python -m fastembed._bench.worker JOB`, a job in JSON, one line of JSON a case."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from fastembed._bench.measure import call_memory, paired_round, peak_memory
from fastembed._bench.peers import PEERS, numpy_baseline
from fastembed._bench.workloads import WORKLOADS


def cases(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Check, and unless the job says "check" time, every workload, thread count and operation of the job.

    A job has "peer", "workloads" (names), "threads" (a list), "rounds", "seconds" (a round),
    "repeats" (of a disturbed round), "small", "check". A case whose
    result differs from NumPy's, or for a check from fastembed's, has an "error" and is not timed.
    """
    for name in job["workloads"]:
        workload = WORKLOADS[name].small() if job["small"] else WORKLOADS[name]
        table, ids = workload.make()
        base = numpy_baseline(table, ids)
        for threads in job["threads"]:
            references = [("NumPy", base)]
            if job["check"] and job["peer"] != "fastembed":
                references.append(("fastembed", PEERS["fastembed"](table, ids, threads)))
            for operation, call in PEERS[job["peer"]](table, ids, threads).items():
                case: dict[str, Any] = {
                    "workload": name,
                    "operation": operation,
                    "peer": job["peer"],
                    "threads": threads,
                    "statement": call.statement,
                    "rows": ids.size,
                    "bytes": ids.size * table.shape[1] * 4,
                }
                result = call.run()
                wrong = [who for who, reference in references if not _same(result, reference[operation].run())]
                if wrong:
                    case["error"] = f"the result differs from {wrong[0]}'s"
                elif not job["check"]:
                    case["rounds"] = [
                        asdict(paired_round(base[operation], call, job["seconds"], job["repeats"]))
                        for _ in range(job["rounds"])
                    ]
                    case["peak_mb"] = peak_memory()
                    case["call_mb"] = call_memory(call)
                yield case


def _same(results: tuple[Any, ...], references: tuple[Any, ...]) -> bool:
    """The same dtypes, shapes and bits."""
    return len(results) == len(references) and all(
        a.dtype == b.dtype and a.shape == b.shape and np.array_equal(_bits(a), _bits(b))
        for a, b in zip(results, references, strict=True)
    )


def _bits(array: Any) -> Any:
    # -0.0 == 0.0, and NaN != NaN: bits say more
    return array.view(np.uint32) if array.dtype == np.float32 else array


if __name__ == "__main__":
    for case in cases(json.loads(sys.argv[1])):
        print(json.dumps(case), flush=True)
