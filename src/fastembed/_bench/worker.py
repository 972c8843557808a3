"""The process that one peer gets: `python -m fastembed._bench.worker JOB`, a job in JSON, one line of JSON a case."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from fastembed._bench.limit import Limit
from fastembed._bench.measure import Quiet, call_memory, paired_round, peak_memory
from fastembed._bench.operations import Call, Operation, operations
from fastembed._bench.peers import PEERS
from fastembed._bench.workloads import Workload


def cases(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Check, and unless the job says "check" time, every workload and operation of the job.

    A job has "peer", "workloads" (their fields), "operations" (None: all), "threads", "rounds", "seconds" (a round),
    "repeats" (of a disturbed round), "patience" (seconds to wait for a quiet machine, in all), "limit" (a library),
    "check". A case whose result differs from NumPy's, or for a check from fastembed's, has an "error" and is not timed.
    """
    quiet = Quiet(job["patience"])
    for fields in job["workloads"]:
        workload = Workload(**{**fields, "ids_shape": tuple(fields["ids_shape"])})
        table, ids = workload.make()
        calls = PEERS[job["peer"]](table, ids, job["threads"])
        against = {} if job["peer"] == "fastembed" or not job["check"] else PEERS["fastembed"](table, ids, 1)
        limit = Limit(job["limit"], job["threads"]) if job["limit"] and job["peer"] == "fastembed" else None
        for name, operation in operations(table, ids).items():
            if operation.of not in calls or name not in (job["operations"] or [name]):
                continue
            call = calls[operation.of]
            case: dict[str, Any] = {
                "workload": workload.name,
                "operation": name,
                "peer": job["peer"],
                "threads": job["threads"],
                "statement": call.statement,
                "base": operation.base.statement,
                "rows": ids.size,
                "bytes": operation.out_bytes,
            }
            wrong = _first_difference(operation, call, against.get(operation.of))
            if wrong:
                case["error"] = f"the result differs from {wrong}'s"
            elif not job["check"]:
                case |= _times(operation, call, limit, quiet, job)
            yield case


def _first_difference(operation: Operation, call: Call, fastembed: Call | None) -> str | None:
    result = call.run()
    if operation.wrong(result, operation.expected.run()):
        return "NumPy"
    return "fastembed" if fastembed is not None and operation.wrong(result, fastembed.run()) else None


def _times(
    operation: Operation, call: Call, limit: Limit | None, quiet: Quiet, job: dict[str, Any]
) -> dict[str, Any]:
    rounds, limits = [], []
    for _ in range(job["rounds"]):
        quiet.wait()
        if limit is not None:
            source, ids, out_bytes = operation.source, operation.rows, operation.out_bytes
            limits.append(limit.seconds(source, ids, out_bytes, operation.cold, job["seconds"] / 4))
        rounds.append(paired_round(operation.base, call, job["seconds"], job["repeats"], operation.cold))
    peak = peak_memory()
    return {
        "rounds": [asdict(one) for one in rounds],
        "limits": limits,
        "peak_mb": peak,
        "call_mb": call_memory(call),
    }


if __name__ == "__main__":
    for case in cases(json.loads(sys.argv[1])):
        print(json.dumps(case), flush=True)
