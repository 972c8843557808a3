"""Damage: one file of a format becomes another that is almost one."""

from __future__ import annotations

import bz2
import copy
import gzip
import io
import json
import lzma
import random
import re
import struct
import zipfile
from collections.abc import Sequence
from typing import Any

# Sizes, places and counts that lie at some border, in the widths that formats have them.
_NUMBERS = (
    0, 1, 2, 7, 8, 63, 64, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1,
)  # fmt: skip
_PIECES = (
    b"nan", b"1e39", b"\xff", b"\n", b" ", b"\t", b"\r\n", b"0x1", b"1_0", b"1,5", b"9" * 30, b"PK\5\6", b"[", b"]",
    b"{", b"}", b'"', b":", b",", b"../", b"/", b"\0", b"[" * 2000, b"\\ud800",
)  # fmt: skip
_TOKEN = re.compile(rb"-?\d+(?:\.\d+)?|[A-Za-z_]\w*|[\"'][^\"'\n]{0,40}[\"']|[^\w\s]")
# By what a token begins with, and of any kind.
_TOKENS = {
    b"0": (b"0", b"1", b"2", b"3", b"-1", b"1.5", b"127", b"65536", b"4294967296", b"9223372036854775807", b"1e400"),
    b'"': (b'""', b'"a"', b'"F64"', b'"I8"', b'"BF16"', b'"Lambda"', b'"__import__"', b'"../x"', b'"float64"'),
    b"'": (b"''", b"'<f2'", b"'|O'", b"'<i8'", b"'>f4'", b"'<c8'", b"'V4'", b"'<U3'"),
    b"": (b"null", b"None", b"true", b"True", b"False", b"NaN", b"[]", b"{}", b"()", b"[[]]", b"lambda", b"(1,)"),
}
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, 3, 4, -1, 7, 48, 2**31, 2**40, 2**63, 2**64, 0.5, 1e300, float("nan"), "", "a", "..",
    "F16", "I64", "Lambda", "eval", [], [0], [4, 3], [3, 4], [0, 48], [[]], {}, {"class_name": "Lambda", "config": {}},
    "x" * 300,
)  # fmt: skip


def damaged(content: bytes, others: Sequence[bytes], chosen: random.Random) -> bytes:
    """The content with one to six changes; `others` are files of which pieces may come in."""
    if chosen.random() < 0.5:
        try:
            return _inside(content, others, chosen)
        except Exception:  # it holds no other file, or not any more
            pass
    raw = bytearray(content)
    for _ in range(chosen.choice((1, 1, 1, 2, 2, 3, 6))):
        if chosen.random() < 0.4:
            _change_token(raw, others, chosen)
        else:
            _change_bytes(raw, others, chosen)
    return bytes(raw)


def _inside(content: bytes, others: Sequence[bytes], chosen: random.Random) -> bytes:
    """The damage done to what the file holds, and sizes and checksums right again: it reaches who comes behind them."""
    if content[:2] == b"PK":
        new = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(new, "w") as archive:
            members = old.infolist()
            hit = chosen.choice(members)
            for member in members:
                data = old.read(member)
                if member is hit:
                    data = damaged(data, [data], chosen)
                archive.writestr(member, data)
        return new.getvalue()
    if content[:1] == b"{":
        fields = json.loads(content)
        for _ in range(chosen.choice((1, 1, 2))):
            _change_value(fields, chosen)
        return json.dumps(fields).encode()
    for magic, module in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ", lzma)):
        if content.startswith(magic):
            data = module.decompress(content)  # type: ignore[attr-defined]
            level = {"preset": 0} if module is lzma else {}  # a dictionary of megabytes takes milliseconds
            packed: bytes = module.compress(damaged(data, [data], chosen), **level)  # type: ignore[attr-defined]
            return packed
    length = struct.unpack_from("<Q", content)[0]  # safetensors
    if content[8:9] != b"{" or length > len(content):
        raise ValueError("holds no other file")
    text = content[8 : 8 + length]
    header = damaged(text, [text], chosen)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def _change_value(fields: Any, chosen: random.Random) -> None:
    """A value somewhere in JSON's lists and objects for another, or gone, or there twice."""
    places: list[tuple[Any, Any]] = []
    todo = [fields]
    while todo:
        holder = todo.pop()
        inside = list(holder.items() if isinstance(holder, dict) else enumerate(holder))
        places += [(holder, key) for key, _ in inside]
        todo += [value for _, value in inside if isinstance(value, (dict, list))]
    holder, key = chosen.choice(places)
    match chosen.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[key + chosen.choice(("", "_", "x"))] = holder.pop(key)
        case 1:
            holder.append(holder[key])
        case 2:
            holder[key] = copy.deepcopy(chosen.choice(places)[0]) if len(places) < 1000 else None
        case 3 if isinstance(holder[key], int):
            holder[key] += chosen.choice((-8, -1, 1, 8))
        case _:
            holder[key] = copy.deepcopy(chosen.choice(_VALUES))


def _change_token(raw: bytearray, others: Sequence[bytes], chosen: random.Random) -> None:
    """A word, number or sign of a text for another."""
    found = _TOKEN.search(raw, _place(raw, chosen))
    if found is None:
        return
    other = chosen.choice(others)
    another = _TOKEN.search(other, chosen.randrange(len(other) + 1))
    kind = b"0" if found[0][-1:].isdigit() else found[0][:1]
    new = chosen.choice(_TOKENS[kind if kind in _TOKENS and chosen.random() < 0.8 else b""])
    if another and chosen.random() < 0.3:
        new = another[0]
    old = found.span()
    raw[old[0] : old[1]] = new.ljust(old[1] - old[0]) if chosen.random() < 0.7 else new
    # a text that is padded keeps its size
    grown = len(new) - (old[1] - old[0])
    blanks = raw.find(b" " * max(grown, 1), old[0] + len(new))
    if grown > 0 and blanks >= 0:
        del raw[blanks : blanks + grown]


def _change_bytes(raw: bytearray, others: Sequence[bytes], chosen: random.Random) -> None:
    place = _place(raw, chosen)
    left = len(raw) - place
    # most changes keep the size, as nearly every format refuses another at once
    match chosen.randrange(5) if chosen.random() < 0.25 else chosen.randrange(5, 11):
        case 0:
            del raw[place:]
        case 1:
            del raw[place : place + chosen.randrange(1, 20)]
        case 2:
            raw[place:place] = chosen.choice(_PIECES)
        case 3:
            raw[place:place] = chosen.choice(others)[chosen.randrange(20) :][: chosen.randrange(200)]
        case 4:
            raw[place:place] = raw[chosen.randrange(len(raw) + 1) :][: chosen.randrange(60)]
        case 5:
            other = chosen.choice(others)
            start = chosen.randrange(len(other) + 1)
            piece = chosen.choice((other[start : start + chosen.randrange(60)], chosen.choice(_PIECES)))[:left]
            raw[place : place + len(piece)] = piece
        case 6 | 7:
            width = min(chosen.choice((1, 2, 4, 8)), left)
            number = chosen.choice(_NUMBERS)
            if chosen.random() < 0.5:  # a little more or less than it was
                number = int.from_bytes(raw[place : place + width], "little") + chosen.choice((-8, -1, 1, 8))
            raw[place : place + width] = (number % 256**8).to_bytes(8, "little")[:width]
        case 8 if left:
            raw[place] = chosen.choice(b'0123456789-.eE{}[]()",: \n')
        case 9 if left:
            raw[place] ^= 1 << chosen.randrange(8)
        case 10 if left:
            raw[place] = chosen.randrange(256)


def _place(raw: bytearray, chosen: random.Random) -> int:
    """Any place, but seldom one among zeros, of which an HDF5 file mostly consists."""
    place = 0
    for _ in range(4):
        place = chosen.randrange(len(raw) + 1)
        if any(raw[place : place + 1]):
            break
    return place
