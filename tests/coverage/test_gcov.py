"""The counting itself, on a program whose branches are known."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .gcov import NATIVE, Counts, Taken

HEADER = """
#include <vector>
template <typename T> int sign(T x) {
    if (x < 0 || x > 1000)
        return -1;
    return x > 0 ? 1 : 0;
}
inline int tried(std::vector<int>& all) {
    try {
        all.push_back(3);
    } catch (const std::bad_alloc&) {
        return -1;
    }
    return all.empty() ? 1 : 2;     // uncounted: for this test
}
"""
LOOPS = """
cdef int one(int x) noexcept nogil:
    return x

cdef int two(
    int x
) noexcept nogil:
    # comment

    return x


cdef int three(int x) except -1:
    return x
"""


def is_gcc() -> bool:
    if shutil.which("gcov") is None or shutil.which("g++") is None:
        return False
    # Xcode's programs of these names are another compiler's
    return "GCC" in subprocess.run(["gcov", "--version"], capture_output=True, text=True, check=False).stdout


@pytest.mark.skipif(not is_gcc(), reason="gcc with gcov")
def test_branches_of_copies_and_programs_are_counted_together(tmp_path: Path) -> None:
    native = tmp_path / NATIVE
    native.mkdir(parents=True)
    (native / "one.hpp").write_text(HEADER)

    def counted(name: str, calls: str) -> Taken:
        (tmp_path / f"{name}.cpp").write_text(f'#include "one.hpp"\nint main() {{ std::vector<int> all; {calls} }}\n')
        flags = ["-O0", "--coverage", "--param", "logical-op-non-short-circuit=0", "-I", NATIVE]
        subprocess.run(["g++", *flags, f"{name}.cpp", "-o", name], cwd=tmp_path, check=True)
        subprocess.run([tmp_path / name], check=True)
        counts = Counts(tmp_path, tmp_path.glob("*.gcda"))
        return counts.of_branches("one.hpp", counts.whole("one.hpp"))

    # two ways out of each operand of ||, and two of ?:
    assert counted("first", "return sign<int>(5) - 1 + tried(all) - 2;") == Taken(3, 6, [4, 6])
    assert counted("second", "return sign<long>(0) + sign<int>(-4) + 1;") == Taken(5, 6, [4])
    assert counted("third", "return sign<short>(2000) + 1;") == Taken(6, 6, [])


def test_plain_loops_are_functions_without_errors(tmp_path: Path) -> None:
    native = tmp_path / NATIVE
    native.mkdir(parents=True)
    (native / "one.pxi").write_text(LOOPS)
    loops = Counts(tmp_path, []).plain_loops("one.pxi")
    assert [(one.start, one.stop - 1) for one in loops] == [(2, 4), (5, 12)]
