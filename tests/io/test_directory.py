"""io.directory: what is written comes back, no directory makes anything but a FormatError, and no kill loses any."""

from __future__ import annotations

import copy
import hashlib
import io
import itertools
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastembed.io import FormatError, directory, floats
from fastembed.io.directory import (
    inspect_directory,
    is_vectors_directory,
    list_tables,
    open_directory,
    read_table,
    verify,
)
from fastembed.io.directory_writer import write_directory
from fastembed.io.keys import PackedKeys
from fastembed.io.mapping import mapping_of

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX files")

WORDS = ["the", "naïve", "", "New York", "🙂"]
PLAIN = ["index.npy", "keys.utf8", "manifest.json", "offsets.npy", "table.npy"]


def table_of(rows: int, dim: int = 4, start: float = 0) -> NDArray[np.float32]:
    return np.arange(start, start + rows * dim, dtype=np.float32).reshape(rows, dim)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    write_directory(tmp_path / "v", table_of(5), PackedKeys.from_strings(WORDS))
    return tmp_path / "v"


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize(("rows", "dim"), [(5, 4), (0, 4), (1, 1), (3, 0), (1000, 300), (0, 0)])
def test_directory_gives_back_what_was_written(tmp_path: Path, rows: int, dim: int, mmap: bool) -> None:
    words = (WORDS + [str(i) for i in range(1000)])[:rows]
    seen: list[int] = []
    write_directory(tmp_path / "v", table_of(rows, dim), PackedKeys.from_strings(words), seen.append)
    table, keys = open_directory(tmp_path / "v", mmap=mmap)
    np.testing.assert_array_equal(table, table_of(rows, dim), strict=True)
    assert type(table) is np.ndarray
    assert keys == words
    assert keys.find_many(words).tolist() == list(range(rows))
    assert keys.find("missing") == -1
    assert (mapping_of(table) is not None) == (mmap and rows * dim > 0)
    assert sum(seen) == rows * dim * 4
    verify(tmp_path / "v")
    assert sorted(os.listdir(tmp_path / "v")) == PLAIN
    assert os.listdir(tmp_path) == ["v"]
    np.testing.assert_array_equal(read_table(tmp_path / "v", mmap=mmap), table_of(rows, dim), strict=True)
    assert list_tables(tmp_path / "v") == {"table": ((rows, dim), np.dtype(np.float32))}


def test_open_directory_reads_in_pieces_between_which_ctrl_c_comes(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[int] = []

    class Recorded(io.FileIO):
        def readinto(self, buffer: Any) -> int:
            pieces.append(len(buffer))
            return super().readinto(buffer)

    monkeypatch.setattr(floats, "BLOCK_BYTES", 32)
    monkeypatch.setattr(directory, "open_regular", Recorded)
    table, keys = open_directory(saved, mmap=False)
    np.testing.assert_array_equal(table, table_of(5))
    assert list(keys) == WORDS
    # the table, the keys, their offsets and the index
    assert pieces == [32, 32, 16, 21, 32, 16, 32, 32]


def test_open_directory_refuses_file_that_becomes_shorter(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "_check_part", lambda *arguments: None)
    os.truncate(saved / "keys.utf8", 20)
    with pytest.raises(FormatError) as caught:
        open_directory(saved, mmap=False)
    assert str(caught.value) == f"{saved / 'keys.utf8'}: the file ends 1 bytes too early."


def test_directory_is_open_to_others(saved: Path) -> None:
    np.testing.assert_array_equal(np.load(saved / "table.npy"), table_of(5))
    offsets = np.load(saved / "offsets.npy")
    blob = (saved / "keys.utf8").read_bytes()
    assert [blob[a:b].decode() for a, b in itertools.pairwise(offsets)] == WORDS
    manifest = json.loads((saved / "manifest.json").read_bytes())
    assert {key: manifest[key] for key in ("format", "version", "hash", "seed")} == {
        "format": "fastembed vectors",
        "version": 1,
        "hash": "siphash-2-4",
        "seed": 0,
    }
    assert {role: (part["name"], part["dtype"], part["shape"]) for role, part in manifest["files"].items()} == {
        "table": ("table.npy", "<f4", [5, 4]),
        "keys": ("keys.utf8", "|u1", [21]),
        "offsets": ("offsets.npy", "<i8", [6]),
        "index": ("index.npy", "<u8", [8]),
    }
    for part in manifest["files"].values():
        content = (saved / part["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (part["bytes"], part["sha256"])


def test_directory_is_told_from_others(saved: Path, tmp_path: Path) -> None:
    assert is_vectors_directory(saved)
    assert not is_vectors_directory(tmp_path)
    assert not is_vectors_directory(saved / "table.npy")


def test_read_table_refuses_another_name(saved: Path) -> None:
    assert read_table(saved, name="table").shape == (5, 4)
    with pytest.raises(ValueError, match="only table") as caught:
        read_table(saved, name="vectors")
    assert str(caught.value) == f"{saved}: the only table of a directory is \"table\". Received: 'vectors'."


# ── replacing ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("links", [True, False])
def test_write_directory_replaces(saved: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:  # a file system without hard links

        def refuse(*names: str) -> None:
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    (saved / "notes.txt").write_text("mine")
    os.chmod(saved / "table.npy", 0o640)
    before = open_directory(saved)
    for start in (10, 20):
        write_directory(saved, table_of(3, 2, start), PackedKeys.from_strings(["a", "b", str(start)]))
        table, keys = open_directory(saved)
        np.testing.assert_array_equal(table, table_of(3, 2, start))
        assert keys == ["a", "b", str(start)]
        verify(saved)
        names = sorted(os.listdir(saved))
        if links:
            assert names == sorted([*PLAIN, "notes.txt"])
        else:
            assert len(names) == 6
            assert not (saved / "table.npy").exists()
        if os.name == "posix":
            name = inspect_directory(saved).files["table"].name
            assert stat.S_IMODE(os.stat(saved / name).st_mode) == 0o640
    # whoever had it open keeps what they had
    np.testing.assert_array_equal(before.table, table_of(5))
    assert before.keys == WORDS
    assert (saved / "notes.txt").read_text() == "mine"


def test_write_directory_onto_itself_while_mapped(saved: Path) -> None:
    for _ in range(2):
        write_directory(saved, *open_directory(saved))
        assert open_directory(saved).keys == WORDS
        np.testing.assert_array_equal(open_directory(saved).table, table_of(5))


@posix
def test_write_directory_follows_a_link(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("v")
    write_directory(tmp_path / "link", table_of(1), PackedKeys.from_strings(["a"]))
    assert (tmp_path / "link").is_symlink()
    assert open_directory(saved).keys == ["a"]


def test_write_directory_puts_a_new_one_in_place_by_one_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = []

    def rename(source: str, destination: str) -> None:
        renamed.append((sorted(os.listdir(source)), os.listdir(tmp_path), destination))
        real(source, destination)
        renamed.append((os.listdir(tmp_path),))

    real = os.rename
    monkeypatch.setattr(os, "rename", rename)
    write_directory(tmp_path / "v", table_of(5), PackedKeys.from_strings(WORDS))
    (whole, before, destination), (after,) = renamed
    assert (whole, destination, after) == (PLAIN, str(tmp_path / "v"), ["v"])
    assert len(before) == 1
    assert before[0].startswith("v.tmp-")


def test_write_directory_takes_names_as_long_as_the_system_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "é" * 127 + "v"
    write_directory(tmp_path / name, table_of(1), PackedKeys.from_strings(["a"]))
    assert open_directory(tmp_path / name).keys == ["a"]
    monkeypatch.setattr(os, "mkdir", lambda *_: pytest.fail("something is written"))
    with pytest.raises(OSError, match="too long") as error:
        write_directory(tmp_path / (name + "v"), table_of(1), PackedKeys.from_strings(["a"]))
    assert error.value.filename == str(tmp_path / (name + "v"))
    assert os.listdir(tmp_path) == [name]


def test_write_directory_into_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    write_directory(tmp_path / "v", table_of(1), PackedKeys.from_strings(["a"]))
    assert open_directory(tmp_path / "v").keys == ["a"]
    # and into one that a kill left without a manifest
    for name in PLAIN:
        (tmp_path / "v" / name).unlink()
    (tmp_path / "v" / "table-0123456789abcdef.npy.tmp-00").write_bytes(b"half")
    (tmp_path / "v" / "keys-0123456789abcdef.utf8").write_bytes(b"whole")
    write_directory(tmp_path / "v", table_of(2), PackedKeys.from_strings(["a", "b"]))
    assert sorted(os.listdir(tmp_path / "v")) == PLAIN


def test_write_directory_replaces_no_file_of_others(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"other")
    for name in PLAIN:
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).symlink_to("../other") if name == "table.npy" else (folder / name).write_bytes(b"mine")
        with pytest.raises((FileExistsError, FormatError)):
            write_directory(folder, table_of(1), PackedKeys.from_strings(["a"]))
        assert os.listdir(folder) == [name]
        assert (folder / name).read_bytes() == (b"other" if name == "table.npy" else b"mine")
    with pytest.raises(FileNotFoundError) as caught:
        write_directory("", table_of(1), PackedKeys.from_strings(["a"]))
    assert str(caught.value) == "[Errno 2] No such file or directory: ''"


def test_write_directory_leaves_a_folder_called_like_a_part(saved: Path) -> None:
    (saved / "table-0123456789abcdef.npy").mkdir()
    write_directory(saved, table_of(1), PackedKeys.from_strings(["a"]))
    assert open_directory(saved).keys == ["a"]
    assert sorted(os.listdir(saved)) == sorted([*PLAIN, "table-0123456789abcdef.npy"])


@posix
def test_write_directory_is_never_more_open_than_what_it_replaces(saved: Path) -> None:
    for name in PLAIN:
        (saved / name).chmod(0o600)
    seen = set()

    def advance(count: int) -> None:
        seen.update(stat.S_IMODE(os.stat(saved / name).st_mode) for name in os.listdir(saved))

    write_directory(saved, table_of(9), PackedKeys.from_strings([*"abcdefghi"]), advance)
    assert seen == {0o600}
    assert {stat.S_IMODE(os.stat(saved / name).st_mode) for name in os.listdir(saved)} == {0o600}


@pytest.mark.parametrize("kind", ["vectors", "empty"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("way", ["write", "replace"])
def test_write_directory_failing_at_any_file_leaves_none_behind(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, error: BaseException, way: str
) -> None:
    folder = saved if kind == "vectors" else tmp_path / "empty"
    folder.mkdir(exist_ok=True)
    before = sorted(os.listdir(folder))
    does = getattr(os, way)
    for failing in range(1, 6):
        left = failing

        def fails(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise error
            return does(*arguments)

        monkeypatch.setattr(os, way, fails)
        with pytest.raises(type(error)):
            write_directory(folder, table_of(1), PackedKeys.from_strings(["a"]))
        monkeypatch.setattr(os, way, does)
        assert sorted(os.listdir(folder)) == before
    assert kind == "empty" or open_directory(folder).keys == WORDS


def test_write_directory_failing_behind_the_manifest_keeps_new(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def interrupted(old: str, new: str) -> None:
        replace(old, new)
        if new.endswith("manifest.json"):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_directory(saved, table_of(1), PackedKeys.from_strings(["a"]))
    assert open_directory(saved).keys == ["a"]
    verify(saved)


def test_write_directory_refuses(saved: Path, tmp_path: Path) -> None:
    keys = PackedKeys.from_strings(["a"])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileExistsError) as caught:
        write_directory(tmp_path / "file", table_of(1), keys)
    assert (caught.value.strerror, caught.value.filename) == (
        "A directory cannot take the place of a file",
        str(tmp_path / "file"),
    )
    with pytest.raises(FileExistsError) as caught:
        write_directory(tmp_path, table_of(1), keys)
    assert (caught.value.strerror, caught.value.filename) == (
        "The directory holds other files and no vectors",
        str(tmp_path),
    )
    with pytest.raises(FileNotFoundError) as caught_missing:
        write_directory(tmp_path / "no" / "v", table_of(1), keys)
    assert caught_missing.value.filename == str(tmp_path / "no" / "v")
    with pytest.raises(ValueError, match="a key for each") as caught_value:
        write_directory(saved, table_of(2), keys)
    assert str(caught_value.value) == "there must be a key for each of the 2 rows. Received: 1 keys."
    with pytest.raises(ValueError, match="NUL"):
        write_directory("a\0b", table_of(1), keys)
    assert open_directory(saved).keys == WORDS
    (saved / "manifest.json").write_text('{"format": "another"}')
    with pytest.raises(FormatError, match="a directory of vectors has a manifest"):
        write_directory(saved, table_of(1), keys)
    assert sorted(os.listdir(tmp_path)) == ["file", "v"]


@pytest.mark.parametrize("exists", [True, False])
def test_write_directory_failing_leaves_the_old(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    path = saved if exists else tmp_path / "new"
    calls = 0

    def full(fd: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for failing in range(1, 8):
        calls = 0
        try:
            write_directory(path, table_of(1), PackedKeys.from_strings(["a"]))
        except OSError as error:
            assert error.errno == 28  # noqa: PT017
        if exists:
            assert open_directory(saved).keys in (WORDS, ["a"])
            verify(saved)
        else:
            assert os.listdir(tmp_path) == ["v"] or failing > 4
            shutil.rmtree(path, ignore_errors=True)


_WRITER = """
import sys
import numpy as np
from fastembed import KeyedVectors
path, rows = sys.argv[1], int(sys.argv[2])
generations = [KeyedVectors(np.full((rows, 8), g, np.float32), [f"{g}-{i}" for i in range(rows)]) for g in (1, 2)]
print("ready", flush=True)
while True:
    for vectors in generations:
        vectors.save(path)
"""


@posix
def test_save_survives_kill(tmp_path: Path) -> None:
    # FASTEMBED_TEST_KILLS=300 for the run that counts
    generator = random.Random(0)
    kills = int(os.environ.get("FASTEMBED_TEST_KILLS", "4"))
    outcomes = set()
    for k in range(kills):
        path = tmp_path / f"v{k % 2}"  # every second one begins without an old one
        if k % 2:
            shutil.rmtree(path, ignore_errors=True)
        with subprocess.Popen([sys.executable, "-c", _WRITER, str(path), "3000"], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(generator.random() * (0.1 if k % 3 else 0.01))
            writer.send_signal(signal.SIGKILL)
        if not path.exists():
            outcomes.add(0)
            continue
        verify(path)
        table, keys = open_directory(path)
        generation = int(table[0, 0])
        assert (table == generation).all()
        assert (table.shape, keys[2999]) == ((3000, 8), f"{generation}-2999")
        outcomes.add(generation)
    if kills >= 100:
        assert {1, 2} <= outcomes
    # the next save sweeps up
    write_directory(tmp_path / "v0", table_of(1), PackedKeys.from_strings(["a"]))
    assert sorted(os.listdir(tmp_path / "v0")) == PLAIN


@posix
def test_open_directory_while_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "v"
    keys = [PackedKeys.from_strings([f"{g}{i}" for i in range(50)]) for g in (1, 2)]
    write_directory(path, np.full((50, 3), 1, np.float32), keys[0])
    stop = threading.Event()

    def replace() -> None:
        generation = 0
        while not stop.is_set():
            write_directory(path, np.full((50, 3), 1 + generation % 2, np.float32), keys[generation % 2])
            generation += 1

    writers = [threading.Thread(target=replace) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            table, found = open_directory(path)
            assert (table == int(found[0][0])).all()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    verify(path)
    assert sorted(os.listdir(path)) == PLAIN


# ── what is wrong ────────────────────────────────────────────────────────────────────────────────


def spoil(saved: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    manifest = json.loads((saved / "manifest.json").read_bytes())
    change(manifest)
    (saved / "manifest.json").write_text(json.dumps(manifest))


def setter(role: str, key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda manifest: manifest["files"][role].update({key: value})


HASH_RULE = (
    'beside "format" and "version" there must be "files", "hash": "siphash-2-4" and "seed", a whole number. Received: '
)
BAD_MANIFESTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "format": (
        lambda m: m.update(format="x"),
        'a directory of vectors has a manifest with "format": "fastembed vectors".',
    ),
    "version": (lambda m: m.update(version=2), '"version" must be 1. Received: 2.'),
    "true version": (lambda m: m.update(version=True), '"version" must be 1. Received: True.'),
    "hash": (
        lambda m: m.update(hash="md5"),
        HASH_RULE + "{'format': 'fastembed vectors', 'version': 1, 'hash': 'md5', 'seed': 0}.",
    ),
    "seed": (
        lambda m: m.update(seed=-1),
        HASH_RULE + "{'format': 'fastembed vectors', 'version': 1, 'hash': 'siphash-2-4', 'seed': -1}.",
    ),
    "files": (
        lambda m: m["files"].pop("keys"),
        "\"files\" must name table, keys, offsets, index. Received: ['index', 'offsets', 'table'].",
    ),
    "no files": (lambda m: m.update(files=3), '"files" must name table, keys, offsets, index. Received: 3.'),
    "traversal": (
        setter("table", "name", "../table.npy"),
        "\"table\": \"name\" must be 'table.npy', or have a token. Received: '../table.npy'.",
    ),
    "absolute": (
        setter("keys", "name", "/etc/passwd"),
        "\"keys\": \"name\" must be 'keys.utf8', or have a token. Received: '/etc/passwd'.",
    ),
    "token with a path": (
        setter("keys", "name", "keys-/../../../../a.utf8"),
        "\"keys\": \"name\" must be 'keys.utf8', or have a token. Received: 'keys-/../../../../a.utf8'.",
    ),
    "newline": (
        setter("keys", "name", "keys.utf8\n"),
        "\"keys\": \"name\" must be 'keys.utf8', or have a token. Received: 'keys.utf8\\n'.",
    ),
    "another part": (
        setter("keys", "name", "table.npy"),
        "\"keys\": \"name\" must be 'keys.utf8', or have a token. Received: 'table.npy'.",
    ),
    "dtype": (setter("table", "dtype", "|O"), "\"table\": \"dtype\" must be '<f4'. Received: '|O'."),
    "shape": (
        setter("table", "shape", [-5, 4]),
        '"table": "shape" must be 2 whole numbers from 0 on. Received: [-5, 4].',
    ),
    "shape of floats": (
        setter("table", "shape", [5.0, 4]),
        '"table": "shape" must be 2 whole numbers from 0 on. Received: [5.0, 4].',
    ),
    "bytes too few": (setter("table", "bytes", 10), '"table": "bytes" must fit shape [5, 4] of <f4. Received: 10.'),
    "bytes negative": (setter("table", "bytes", -1), '"table": "bytes" must fit shape [5, 4] of <f4. Received: -1.'),
    "bytes of keys": (setter("keys", "bytes", 22), '"keys": "bytes" must fit shape [21] of |u1. Received: 22.'),
    "digest": (setter("table", "sha256", "00"), "\"table\": \"sha256\" must be 64 hexadecimal digits. Received: '00'."),
    "more fields": (
        setter("table", "more", 1),
        '"table": there must be "name", "dtype", "shape", "bytes" and "sha256" and nothing else.',
    ),
    "rows": (
        lambda m: m["files"]["table"].update(shape=[4, 5]),
        "the table has 4 rows, so there must be 5 offsets. Received: 6.",
    ),
    "width of no rows": (
        setter("table", "shape", [0, 2**24 + 1]),
        '"table": rows of which there are none have at most 16777216 numbers. Received: 16777217.',
    ),
    "slots": (
        setter("index", "shape", [7]),
        "the index must have a power of two of slots, over 5. Received: 7.",
    ),
    "few slots": (
        setter("index", "shape", [4]),
        "the index must have a power of two of slots, over 5. Received: 4.",
    ),
}


@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_open_directory_refuses_bad_manifest(saved: Path, name: str) -> None:
    change, text = BAD_MANIFESTS[name]
    spoil(saved, change)
    for use in (open_directory, inspect_directory, verify, read_table, list_tables):
        with pytest.raises(FormatError) as caught:
            use(saved)
        assert str(caught.value) == f"{saved / 'manifest.json'}: {text}"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not JSON: Expecting value: line 1 column 1 (char 0)."),
        (b"[" * 60_000, "not JSON: "),
        (b"\xff", "not JSON: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte."),
        (b'{"format": 1, "format": 2}', "not JSON: a name occurs twice in one object."),
        (b"9" * 60_000, "not JSON: Exceeds the limit"),
        (b"[]", 'a directory of vectors has a manifest with "format": "fastembed vectors".'),
        (b" " * 70_000, "a manifest takes at most 65536 bytes. Received: more."),
    ],
)
def test_open_directory_refuses_what_is_no_manifest(saved: Path, content: bytes, text: str) -> None:
    (saved / "manifest.json").write_bytes(content)
    with pytest.raises(FormatError) as caught:
        open_directory(saved)
    assert str(caught.value).startswith(f"{saved / 'manifest.json'}: {text}")


def test_open_directory_refuses_sizes_that_lie(saved: Path) -> None:
    size = os.path.getsize(saved / "table.npy")
    for role, name in (("table", "table.npy"), ("keys", "keys.utf8"), ("offsets", "offsets.npy")):
        content = (saved / name).read_bytes()
        for changed in (content[:-1], content + b"x", b""):
            (saved / name).write_bytes(changed)
            for mmap in (True, False):
                with pytest.raises(FormatError) as caught:
                    open_directory(saved, mmap=mmap)
                assert str(caught.value) == (
                    f"{saved / name}: the file has {len(changed)} bytes, the manifest says {len(content)}."
                ), role
        (saved / name).write_bytes(content)
    spoil(saved, setter("table", "shape", [5, 2]))
    with pytest.raises(FormatError) as caught:
        open_directory(saved)
    assert str(caught.value) == (
        f"{saved / 'table.npy'}: the header says shape (5, 4) of <f4, the manifest (5, 2) of <f4."
    )
    spoil(saved, setter("table", "shape", [5, 4_000_000_000_000]))
    with pytest.raises(FormatError, match=f"Received: {size}"):
        open_directory(saved)


def test_open_directory_refuses_another_order_or_dtype(saved: Path) -> None:
    for array, text in (
        (np.asfortranarray(table_of(5)), "(5, 4) of <f4 in Fortran order"),
        (table_of(5).astype(">f4"), "(5, 4) of >f4"),
        (np.zeros((5, 4), np.int32), "(5, 4) of <i4"),
    ):
        np.save(saved / "table.npy", array)
        with pytest.raises(FormatError) as caught:
            open_directory(saved)
        assert str(caught.value) == (
            f"{saved / 'table.npy'}: the header says shape {text}, the manifest (5, 4) of <f4."
        )


@pytest.mark.parametrize(("role", "size"), [("table", 4), ("offsets", 8), ("index", 8)])
def test_open_directory_refuses_elements_that_cannot_be_mapped(saved: Path, role: str, size: int) -> None:
    path = saved / f"{role}.npy"
    content = path.read_bytes()
    path.write_bytes(content[:8] + (content[8] - 1).to_bytes(1, "little") + content[9:126] + b"\n" + content[128:])
    spoil(saved, setter(role, "bytes", len(content) - 1))
    for mmap in (True, False):
        with pytest.raises(FormatError) as caught:
            open_directory(saved, mmap=mmap)
        assert str(caught.value) == (
            f"{path}: byte 127: the elements must begin at a multiple of their {size} bytes, to be mapped."
        )


def test_open_directory_refuses_what_is_missing(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open_directory(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing" / "manifest.json")
    with pytest.raises(NotADirectoryError) as caught_file:
        open_directory(saved / "table.npy")
    assert caught_file.value.filename == str(saved / "table.npy")
    (saved / "keys.utf8").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        open_directory(saved)
    assert caught.value.filename == str(saved / "keys.utf8")


@posix
@pytest.mark.parametrize("name", PLAIN)
def test_open_directory_refuses_pipes(saved: Path, name: str) -> None:
    (saved / name).unlink()
    os.mkfifo(saved / name)
    with pytest.raises(OSError, match="Not a regular file") as caught:
        open_directory(saved)
    assert caught.value.filename == str(saved / name)


@pytest.mark.parametrize("mmap", [True, False])
def test_open_directory_with_wrong_offsets_fails_where_they_are_used(saved: Path, mmap: bool) -> None:
    offsets = np.load(saved / "offsets.npy")
    offsets[2] = 2**40
    np.save(saved / "offsets.npy", offsets)
    keys = open_directory(saved, mmap=mmap).keys
    assert keys[0] == "the"
    with pytest.raises(FormatError) as caught:
        keys[1]
    assert str(caught.value) == (
        f"{saved / 'keys.utf8'}: key 1: the offsets must rise from 0 to 21. Received: 3 and {2**40}."
    )
    offsets[0], offsets[2] = 1, 9
    np.save(saved / "offsets.npy", offsets)
    with pytest.raises(FormatError, match="must begin at 0"):
        open_directory(saved, mmap=mmap)


def test_verify_finds_every_changed_byte(saved: Path) -> None:
    for name in PLAIN:
        if name == "manifest.json":
            continue
        content = (saved / name).read_bytes()
        changed = bytearray(content)
        changed[-1] ^= 1
        (saved / name).write_bytes(changed)
        with pytest.raises(FormatError, match=name) as caught:
            verify(saved)
        want, got = hashlib.sha256(content).hexdigest(), hashlib.sha256(changed).hexdigest()
        assert str(caught.value) == f"{saved / name}: its SHA-256 is {got}, the manifest says {want}."
        (saved / name).write_bytes(content)
    seen: list[int] = []
    verify(saved, seen.append)
    assert sum(seen) == sum(os.path.getsize(saved / name) for name in PLAIN if name != "manifest.json")


def rehash(saved: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        for part in manifest["files"].values():
            part["sha256"] = hashlib.sha256((saved / part["name"]).read_bytes()).hexdigest()

    spoil(saved, change)


def test_verify_checks_keys_and_index_behind_true_checksums(saved: Path) -> None:
    index = np.load(saved / "index.npy")
    np.save(saved / "index.npy", np.zeros_like(index))
    rehash(saved)
    with pytest.raises(FormatError) as caught:
        verify(saved)
    assert str(caught.value) == f"{saved / 'keys.utf8'}: key 0: the index says that it is in row -1."
    np.save(saved / "index.npy", index)
    (saved / "keys.utf8").write_bytes((saved / "keys.utf8").read_bytes()[:-1] + b"\xff")
    rehash(saved)
    with pytest.raises(FormatError) as caught:
        verify(saved)
    assert str(caught.value) == f"{saved / 'keys.utf8'}: key 4: not UTF-8 from its byte 0 on."


def test_open_directory_any_mutation_is_read_or_refused(saved: Path) -> None:
    generator = random.Random(7)
    contents = {name: (saved / name).read_bytes() for name in PLAIN}
    refused = 0
    for _ in range(400 * int(os.environ.get("FASTEMBED_TEST_SCALE", "1"))):
        name = generator.choice(PLAIN)
        changed = bytearray(contents[name])
        for _ in range(generator.randint(1, 3)):
            changed[generator.randrange(len(changed))] = generator.choice([generator.randrange(256), *b'0123456789-"'])
        (saved / name).write_bytes(changed[: generator.choice([len(changed), generator.randrange(len(changed))])])
        try:
            table, keys = open_directory(saved, mmap=generator.random() < 0.5)
            assert table.shape == (5, 4)
            list(keys)
            keys.find_many(WORDS)
        except FormatError as error:
            assert str(error).startswith(str(saved))  # noqa: PT017
            refused += 1
        except FileNotFoundError:  # a token in a name
            refused += 1
        (saved / name).write_bytes(contents[name])
    assert refused > 200


def test_manifest_fields_of_any_kind_are_refused(saved: Path) -> None:
    good = json.loads((saved / "manifest.json").read_bytes())
    odd: list[Any] = [None, True, -1, 0.5, 2**63, 2**70, "", "x" * 1000, [], {}, [[]], {"name": 1}, float("nan")]
    places: list[tuple[Any, ...]] = [(key,) for key in good]
    places += [("files", role) for role in good["files"]]
    places += [("files", role, key) for role, part in good["files"].items() for key in part]
    for place in places:
        for value in odd:
            manifest = copy.deepcopy(good)
            spot = manifest
            for key in place[:-1]:
                spot = spot[key]
            if place == ("seed",) and value == 0:
                continue
            spot[place[-1]] = value
            (saved / "manifest.json").write_text(json.dumps(manifest))
            with pytest.raises(FormatError):
                open_directory(saved)


def test_open_directory_gives_up_on_endless_replacing(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = iter(range(10**6))
    original = directory._read_manifest
    monkeypatch.setattr(directory, "_read_manifest", lambda folder: original(folder) + b" " * (next(reads) + 1))
    with pytest.raises(OSError, match="replaced all the time"):
        open_directory(saved)
