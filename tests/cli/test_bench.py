"""The harness behind `fastembed bench` and benchmarks/: what is compared, what is timed, what is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastembed import _bench, ops
from fastembed._bench import harness, limit, measure, operations, peers, report, worker
from fastembed._bench.operations import Call
from fastembed._bench.workloads import WORKLOADS, Kind, Workload
from fastembed._cli import main

TINY = replace(_bench.QUICK, workloads=(WORKLOADS["W2"].small(),), seconds=0.01, repeats=0, processes=1)
JOB: dict[str, Any] = {
    "peer": "fastembed",
    "workloads": [asdict(WORKLOADS["W3"].small())],
    "operations": None,
    "threads": 2,
    "rounds": 1,
    "seconds": 0.001,
    "repeats": 0,
    "patience": 0.0,
    "limit": None,
    "check": True,
}

DIFFERS = "the result differs from NumPy's"
OPERATIONS = ["gather", "out hot", "gather+mask", "mask", "bag"]


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """A worker sets the threads of its process, which is that of the tests here."""
    before = ops.get_num_threads()
    yield
    ops.set_num_threads(before)


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


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("sorted", [0, 0, 1, 4]), ("reversed", [4, 1, 0, 0]), ("equal", [3, 3, 3, 3])],
)
def test_workload_kinds_in_order(monkeypatch: pytest.MonkeyPatch, kind: Kind, expected: list[int]) -> None:
    class Generator:
        def integers(self, high: int, size: Any) -> Any:
            return np.array([1, 0, 4, 0])

    assert Workload("w", 6, 1, (4,), kind)._ids(Generator()).tolist() == expected  # type: ignore[arg-type]


def test_workload_exponent_and_dtype() -> None:
    ids = [Workload("w", 100, 1, (20_000,), "zipf", exponent, "uint8").make()[1] for exponent in (0.8, 1.5)]
    assert ids[0].dtype == np.uint8
    share = [(one == 0).mean() for one in ids]
    harmonic = [1 / (np.arange(1, 101) ** -exponent).sum() for exponent in (0.8, 1.5)]
    assert share == pytest.approx(harmonic, abs=0.02)


def test_large_table_repeats_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastembed._bench.workloads._BLOCK", 7)
    table, _ = Workload("w", 5, 4, (2,), "uniform").make()
    flat = table.reshape(-1)
    assert len(np.unique(flat)) == 7
    np.testing.assert_array_equal(flat[7:], flat[:-7])


@pytest.mark.parametrize("peer", peers.PEERS)
def test_every_peer_gives_the_same_rows(peer: str) -> None:
    if peer not in peers.installed():
        pytest.skip(f"{peer} is not installed")
    small = [asdict(one.small()) for one in WORKLOADS.values()]
    found = list(harness._worker({**JOB, "peer": peer, "workloads": small}))
    assert len(found) >= 13
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
    assert [case["error"] for case in found] == [DIFFERS]
    assert not any("rounds" in case for case in found)


def test_check_compares_with_fastembed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "torch", _with_result(lambda rows: rows))
    monkeypatch.setitem(peers.PEERS, "fastembed", _with_result(lambda rows: rows + np.float32(1)))
    found = list(worker.cases({**JOB, "peer": "torch"}))
    assert [case["error"] for case in found] == ["the result differs from fastembed's"]


def test_check_counts_errors_and_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    case = {"peer": "torch", "workload": "W2", "operation": "mask", "threads": 2, "error": DIFFERS}
    monkeypatch.setattr(peers, "installed", lambda: ["torch"])
    monkeypatch.setattr(harness.machine, "version_of", lambda peer: "1.0")
    monkeypatch.setattr(harness, "_worker", lambda job: iter([{"peer": "torch"}, case] if job["threads"] == 1 else []))
    told: list[str] = []
    assert harness.check(told.append) == 1
    assert told == [
        "torch W2 mask with 2 threads: the result differs from NumPy's",
        "torch 1.0: 1 of 2 results the same",
    ]


def test_check_notices_process_that_died(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(peers, "installed", lambda: ["nobody"])
    told: list[str] = []
    assert harness.check(told.append) > 0
    assert told[0] == "nobody: its process ended with code 1"
    assert "KeyError" in capfd.readouterr().err


def test_run_sums_up_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "installed", lambda: ["fastembed", "numpy"])
    figures = _bench.run(replace(TINY, processes=2, threads=(1, 2)), tell)
    assert figures["errors"] == []
    cases = figures["results"]
    assert {case["operation"] for case in cases if case["peer"] == "fastembed"} == set(OPERATIONS)
    assert {case["threads"] for case in cases} == {1, 2}
    for case in cases:
        assert case["pairs"] >= 10
        assert len(case["process_ratios"]) == 2
        assert 0 < case["quartiles"][0] <= case["ratio"] <= case["quartiles"][1]
        assert case["rows_per_second"] == 12 * 128 / case["seconds"]
    assert json.loads(json.dumps(figures))["results"] == cases


def test_summary_is_median_of_ratios_of_pairs() -> None:
    common: dict[str, Any] = {"workload": "W", "operation": "gather", "peer": "p", "threads": 1, "statement": "s"}
    common |= {"base": "b", "rows": 6, "bytes": 8}
    first = {"base": [4.0, 6.0], "peer": [2.0, 2.0], "foreign": 0.25, "repeated": 1}
    second = {"base": [1.0, 9.0, 9.0], "peer": [1.0, 1.0, 9.0], "foreign": None, "repeated": 2}
    summary = harness._summary(
        [
            {**common, "rounds": [first], "limits": [0.5], "call_mb": 3.0, "peak_mb": None},
            {**common, "rounds": [second], "limits": [1.5], "call_mb": 5.0, "peak_mb": None},
        ]
    )
    # ratios 2, 3, 1, 9, 1
    assert (summary["ratio"], summary["quartiles"], summary["process_ratios"]) == (2.0, [1.0, 3.0], [2.5, 1.0])
    assert (summary["seconds"], summary["numpy_seconds"], summary["rows_per_second"]) == (2.0, 6.0, 3.0)
    # the first process's fastest samples are 4 and 2, the second's 1 and 1
    assert summary["floor_ratio"] == 1.5
    assert (summary["worst_foreign_share"], summary["repeated_rounds"]) == (0.25, 3)
    assert (summary["call_mb"], summary["peak_mb"], summary["limit_seconds"]) == (4.0, None, 1.0)


def test_limit_of_fastembed_is_everybodys() -> None:
    shared = {"workload": "W", "operation": "gather", "threads": 2}
    results: list[dict[str, Any]] = [
        {**shared, "peer": "fastembed", "limit_seconds": 3.0, "floor_seconds": 4.0},
        {**shared, "peer": "torch", "limit_seconds": None, "floor_seconds": 6.0},
        {**shared, "peer": "torch", "threads": 1, "limit_seconds": None, "floor_seconds": 6.0},
    ]
    harness._add_limits(results)
    assert [one["of_limit"] for one in results] == [0.75, 0.5, None]


def test_compiled_is_none_without_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert limit.compiled(tmp_path / "limit.c", tmp_path) is None


def test_compiled_is_none_when_it_fails(tmp_path: Path) -> None:
    (tmp_path / "wrong.c").write_text("no C")
    assert limit.compiled(tmp_path / "wrong.c", tmp_path) is None


def test_limit_passes_what_the_function_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class Library:
        @staticmethod
        def limit(*arguments: Any) -> int:
            seen.append([argument.value for argument in arguments])
            np.ctypeslib.as_array((limit.ctypes.c_double * arguments[9].value).from_address(seen[-1][10]))[:] = 0.002
            return 0

    monkeypatch.setattr(limit.ctypes, "CDLL", lambda path: Library)
    table, ids = np.ones((5, 3), np.float32), np.array([[1, 2], [3, 4]], np.int32)
    assert limit.Limit("library", 3).seconds(table, ids, 48, False, 0.02) == 0.002
    # (table, row bytes, ids, count, out, bytes, evictor, bytes, threads, rounds, seconds)
    assert [seen[0][k] for k in (0, 1, 3, 5, 7, 8, 9)] == [table.ctypes.data, 12, 4, 48, 0, 3, 3]
    assert seen[1][9] == 10


def test_bag_may_differ_by_rounding_only() -> None:
    table, ids = WORKLOADS["W3"].small().make()
    bag = operations.operations(table, ids)["bag"]
    expected = bag.expected.run()[0]
    one = np.float32(1) + np.float32(1e-6)
    assert not bag.wrong((expected * one,), (expected,))
    assert bag.wrong((expected * np.float32(1.001),), (expected,))
    assert bag.wrong((expected.astype(np.float64),), (expected,))


def test_masked_mean_skips_padding() -> None:
    table = np.array([[9, 9], [1, 3], [2, 8]], np.float32)
    ids = np.array([[1, 2, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]])
    assert operations.masked_mean(table, ids).tolist() == [[1.5, 5.5], [2, 8], [0, 0]]


def test_cold_rounds_empty_the_caches_before_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    class Evictor:
        def max(self) -> None:
            order.append("e")

    monkeypatch.setattr(measure, "evictor", Evictor)
    calls = [Call(f"note({name!r})", {"note": order.append}) for name in "AB"]
    measure.paired_round(*calls, 0.0, repeats=0, cold=True)
    assert "".join(order) == "eAeBeBeAeAeBeBeAeAeB"


def test_quiet_waits_until_nobody_else_works(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([0.0, 0.4, 0.4, 0.5, 0.5, 0.51])
    monkeypatch.setattr(measure, "foreign_seconds", lambda: next(used))
    monkeypatch.setattr(measure.time, "sleep", lambda seconds: None)
    measure.Quiet(100.0).wait()
    assert next(used, None) is None


def test_quiet_gives_up_when_patience_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100, 3))
    monkeypatch.setattr(measure.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(measure.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(measure, "foreign_seconds", lambda: float(next(clock)))
    quiet = measure.Quiet(10.0)
    quiet.wait()
    assert quiet._left <= 0


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
    assert [line.split()[:3] for line in lines[1:6]] == [["W2", *name.split(), "fastembed"][:3] for name in OPERATIONS]
    assert "processor" in out
    assert err == f"W2: fastembed, {ops.get_num_threads()} threads, process 1 of 1\n"


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
    assert [line.split(" | ")[1] for line in lines[2:7]] == OPERATIONS
    assert all(line.count("|") == lines[0].count("|") for line in lines[:7])


@pytest.mark.parametrize(("share", "text"), [(None, ""), (0.0, "0%"), (0.06, "6%"), (0.3, "30%!")])
def test_report_marks_disturbed_figures(share: float | None, text: str) -> None:
    assert report._others(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.234, "1.23 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 us"), (7e-9, "7 ns")]
)
def test_report_duration(seconds: float, text: str) -> None:
    assert report._duration(seconds) == text
