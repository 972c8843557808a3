"""Studies of benchmarks/ that need no other library run, on small shapes, and compare results before they time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import against
from fastembed import ops
from tests.ops.helpers import SANITIZED

pytestmark = pytest.mark.skipif(SANITIZED, reason="times")


def test_cost_of_a_fused_mask_is_measured_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmarks.main(["--fused", "--small", "--results", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "fused.json").read_text())["results"]
    assert {one["workload"] for one in results} == {"W2", "W3", "W4u", "W4z", "W5", "W6"}
    assert {one["threads"] for one in results} == {1, ops.get_num_threads()}
    assert all(one["ratio"] > 0 and one["seconds"] > 0 for one in results)
    assert (tmp_path / "fused.md").read_text() == capsys.readouterr().out.rstrip("\n") + "\n"


def test_version_is_compared_with_another_in_turns() -> None:
    found = against.in_turns(Path(ops.__file__).parents[2], "W1", 2)  # against itself
    calls = ["gather", "gather_with_mask", "mask", "embedding_bag", "layer(ids)", "predict"]
    assert list(found) == calls
    assert all(len(pairs) == 2 and min(map(min, pairs)) > 0 for pairs in found.values())


def test_other_results_are_no_comparison(tmp_path: Path) -> None:
    package = tmp_path / "old" / "fastembed"
    package.mkdir(parents=True)
    source = Path(ops.__file__).parents[1]
    (package / "__init__.py").write_text(
        f"__path__ = [{str(source)!r}]\n"
        f"exec(open({str(source / '__init__.py')!r}).read())\n"
        "gather = ops.gather\n"
        "ops.gather = lambda table, ids: gather(table, ids) + 1\n"
    )
    with pytest.raises(AssertionError, match=r"^W1: gather: the results differ$"):
        against.in_turns(tmp_path / "old", "W1", 1)
