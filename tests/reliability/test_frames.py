"""Which reports of Valgrind and LeakSanitizer are ours: the ones with one of our modules anywhere in the stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import frames

VALGRIND = """<?xml version="1.0"?>
<valgrindoutput>
<error><kind>InvalidRead</kind><what>Invalid read of size 4</what>
<stack><frame><fn>memcpy</fn><obj>/usr/lib/libc.so.6</obj></frame><frame><obj>{object}</obj></frame></stack></error>
<error><kind>{kind}</kind><xwhat><text>24 bytes</text></xwhat>
<stack><frame><fn>malloc</fn><obj>{object}</obj></frame></stack></error>
</valgrindoutput>
"""
LEAKS = """
==7==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 321 byte(s) in 1 object(s) allocated from:
    #0 0x7f in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x7f in grow {source}

Indirect leak of 8 byte(s) in 1 object(s) allocated from:
    #0 0x7f in PyFloat_FromDouble Objects/floatobject.c:149

SUMMARY: AddressSanitizer: 329 byte(s) leaked in 2 allocation(s).
"""
OURS, NOT_OURS = "/x/fastembed/_native/kernels.so", "/x/numpy/_core/multiarray.so"


@pytest.mark.parametrize(
    ("text", "first_line", "status"),
    [
        (VALGRIND.format(object=OURS, kind="Leak_PossiblyLost"), "1 reports, 1 of them name", 1),
        (VALGRIND.format(object=OURS, kind="UninitValue"), "2 reports, 2 of them name", 1),
        (VALGRIND.format(object=NOT_OURS, kind="UninitValue"), "2 reports, 0 of them name", 0),
        (LEAKS.format(source="src/fastembed/_native/words.hpp:12"), "2 reports, 1 of them name", 1),
        (LEAKS.format(source=f"({NOT_OURS}+0x1)"), "2 reports, 0 of them name", 0),
        ("", "0 reports, 0 of them name", 0),
    ],
)
def test_reports_are_told_apart_by_their_frames(
    text: str, first_line: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report"
    path.write_text(text)
    assert frames.main(str(path)) == status
    assert capsys.readouterr().out.splitlines()[0] == f"{first_line} fastembed/_native/"
