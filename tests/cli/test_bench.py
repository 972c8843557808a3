"""The harness behind `fastembed bench` and benchmarks/: what is compared, what is timed, what is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fastembed import _bench
from fastembed._bench import harness, measure, peers, report, worker
from fastembed._bench.peers import Call
from fastembed._bench.workloads import WORKLOADS
from fastembed._cli import main

TINY = replace(_bench.QUICK, workloads=("W2",), seconds=0.01, repeats=0, small=True)
JOB: dict[str, Any] = {
    "peer": "fastembed",
    "workloads": ["W3"],
    "threads": [1, 2],
    "rounds": 1,
    "seconds": 0.001,
    "repeats": 0,
    "small": True,
    "check": True,
}

DIFFERS = "the result differs from NumPy's"
OPERATIONS = ["gather", "out", "mask"]


def tell(line: str) -> None:
    pass


@pytest.mark.parametrize("name", WORKLOADS)
def test_workload_is_the_same_every_time(name: str) -> None:
    table, ids = WORKLOADS[name].small().make()
    again = WORKLOADS[name].small().make()
    assert (table.dtype, ids.dtype) == (np.float32, np.int64)
    assert ids.min() >= 0
    assert ids.max() < len(table)
    np.testing.assert_array_equal(table, again[0])
    np.testing.assert_array_equal(ids, again[1])


def test_text_workload_is_padded_at_the_end() -> None:
    _, ids = replace(WORKLOADS["W3"], columns=1).make()
    assert ids.shape == (64, 256)
    assert abs((ids == 0).mean() - 0.3) < 0.05
    padding = ids == 0
    assert (padding[:, 1:] >= padding[:, :-1]).all()


def test_zipf_workloads_favour_few_ids() -> None:
    for name, hottest in (("W3", 1), ("W5", 0), ("W4z", None)):
        _, ids = replace(WORKLOADS[name], columns=1).make()
        counts = np.bincount(ids[ids > 0] if name == "W3" else ids.ravel())
        assert counts.max() > 0.05 * counts.sum()
        if hottest is not None:
            assert counts.argmax() == hottest


@pytest.mark.parametrize("peer", peers.PEERS)
def test_every_peer_gives_the_same_rows(peer: str) -> None:
    if peer not in peers.installed():
        pytest.skip(f"{peer} is not installed")
    found = list(harness._worker({**JOB, "peer": peer, "workloads": list(WORKLOADS)}))
    assert len(found) >= 14
    assert [case for case in found if "error" in case] == []


def _with_result(change: Callable[[Any], Any]) -> Callable[..., dict[str, Call]]:
    def peer(table: Any, ids: Any, threads: int) -> dict[str, Call]:
        return {"gather": Call("take(table, ids)", {"take": lambda t, i: change(t[i]), "table": table, "ids": ids})}

    return peer


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: np.where(np.arange(rows.size).reshape(rows.shape) == 5, np.float32(7), rows),
        lambda rows: rows.astype(np.float64),
        lambda rows: rows.reshape(-1, rows.shape[-1]),
        lambda rows: -rows * np.float32(0),
    ],
    ids=["one value", "dtype", "shape", "zeros"],
)
@pytest.mark.parametrize("check", [True, False])
def test_wrong_result_is_an_error_and_never_timed(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any], check: bool
) -> None:
    monkeypatch.setitem(peers.PEERS, "torch", _with_result(change))
    found = list(worker.cases({**JOB, "peer": "torch", "check": check}))
    assert [case["error"] for case in found] == [DIFFERS] * 2
    assert not any("rounds" in case for case in found)


def test_check_compares_with_fastembed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "torch", _with_result(lambda rows: rows))
    monkeypatch.setitem(peers.PEERS, "fastembed", _with_result(lambda rows: rows + np.float32(1)))
    found = list(worker.cases({**JOB, "peer": "torch"}))
    assert [case["error"] for case in found] == ["the result differs from fastembed's"] * 2


def test_check_counts_errors_and_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    case = {"peer": "torch", "workload": "W2", "operation": "mask", "threads": 2, "error": DIFFERS}
    monkeypatch.setattr(peers, "installed", lambda: ["torch"])
    monkeypatch.setattr(harness.machine, "version_of", lambda peer: "1.0")
    monkeypatch.setattr(harness, "_worker", lambda job: iter([{"peer": "torch"}, case]))
    told: list[str] = []
    assert harness.check(told.append) == 1
    assert told == [
        "torch W2 mask with 2 threads: the result differs from NumPy's",
        "torch 1.0: 1 of 2 results the same",
    ]


def test_check_notices_process_that_died(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(peers, "installed", lambda: ["nobody"])
    told: list[str] = []
    assert harness.check(told.append) == 1
    assert told[0] == "nobody: its process ended with code 1"
    assert "KeyError" in capfd.readouterr().err


def test_run_sums_up_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "installed", lambda: ["fastembed", "numpy"])
    figures = _bench.run(replace(TINY, processes=2, also_one_thread=True), tell)
    assert figures["errors"] == []
    cases = figures["results"]
    assert {case["operation"] for case in cases if case["peer"] == "fastembed"} == {"gather", "out", "mask"}
    assert {case["threads"] for case in cases} == set(figures["threads"])
    for case in cases:
        assert case["pairs"] >= 10
        assert len(case["process_ratios"]) == 2
        assert 0 < case["quartiles"][0] <= case["ratio"] <= case["quartiles"][1]
        assert case["rows_per_second"] == WORKLOADS["W2"].small().make()[1].size / case["seconds"]
    assert json.loads(json.dumps(figures))["results"] == cases


def test_summary_is_median_of_ratios_of_pairs() -> None:
    common: dict[str, Any] = {"workload": "W", "operation": "gather", "peer": "p", "threads": 1, "statement": "s"}
    common |= {"rows": 6, "bytes": 8}
    first = {"base": [4.0, 6.0], "peer": [2.0, 2.0], "foreign": 0.25, "repeated": 1}
    second = {"base": [1.0, 9.0, 9.0], "peer": [1.0, 1.0, 9.0], "foreign": None, "repeated": 2}
    summary = harness._summary(
        [
            {**common, "rounds": [first], "call_mb": 3.0, "peak_mb": None},
            {**common, "rounds": [second], "call_mb": 5.0, "peak_mb": None},
        ]
    )
    # ratios 2, 3, 1, 9, 1
    assert (summary["ratio"], summary["quartiles"], summary["process_ratios"]) == (2.0, [1.0, 3.0], [2.5, 1.0])
    assert (summary["seconds"], summary["numpy_seconds"], summary["rows_per_second"]) == (2.0, 6.0, 3.0)
    assert (summary["worst_foreign_share"], summary["repeated_rounds"]) == (0.25, 3)
    assert (summary["call_mb"], summary["peak_mb"]) == (4.0, None)


def test_round_with_foreign_use_is_repeated_and_the_quietest_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = iter([0.9, 0.2, 0.5, 0.01])
    monkeypatch.setattr(measure, "_one_round", lambda *args: measure.Round([1.0], [1.0], next(shares)))
    call = Call("None", {})
    kept = measure.paired_round(call, call, 0.0, repeats=2)
    assert (kept.foreign, kept.repeated) == (0.2, 2)
    kept = measure.paired_round(call, call, 0.0, repeats=2)
    assert (kept.foreign, kept.repeated) == (0.01, 0)


def test_round_is_interleaved(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    calls = [Call(f"note({name!r})", {"note": order.append}) for name in "AB"]
    monkeypatch.setattr(measure, "_calls_a_sample", lambda timer: 1)
    kept = measure.paired_round(*calls, 0.0, repeats=0)
    assert "".join(order) == "ABBAABBAAB"
    assert len(kept.base) == len(kept.peer) == 5


def test_bench_prints_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_bench, "QUICK", TINY)
    monkeypatch.setattr(peers, "installed", lambda: ["fastembed"])
    assert main(["bench"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split("  ")[0] == "workload"
    assert [line.split()[:3] for line in lines[1:4]] == [["W2", name, "fastembed"] for name in OPERATIONS]
    assert "processor" in out
    assert err == "W2: fastembed, process 1 of 1\n"


def test_bench_prints_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_bench, "QUICK", TINY)
    monkeypatch.setattr(peers, "installed", lambda: ["fastembed"])
    assert main(["bench", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [case["operation"] for case in figures["results"]] == OPERATIONS


def test_bench_exits_1_on_wrong_result(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    case = {"peer": "torch", "workload": "W2", "operation": "out", "threads": 1, "error": DIFFERS}
    monkeypatch.setattr(harness, "_worker", lambda job: iter([case]))
    monkeypatch.setattr(peers, "installed", lambda: ["torch"])
    assert main(["bench"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "torch W2 out with 1 threads: the result differs from NumPy's"


def test_report_markdown_has_one_row_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "installed", lambda: ["fastembed"])
    figures = _bench.run(TINY, tell)
    lines = report.markdown(figures).splitlines()
    assert lines[0] == "| " + " | ".join(report.HEADINGS) + " |"
    assert [line.split(" | ")[1] for line in lines[2:5]] == OPERATIONS
    assert all(line.count("|") == lines[0].count("|") for line in lines[:5])


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.234, "1.23 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 us"), (7e-9, "7 ns")]
)
def test_report_duration(seconds: float, text: str) -> None:
    assert report._duration(seconds) == text
