"""io.atomic: a destination is the old file or the new one, whole, and nothing else stays."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastembed.io.atomic import check_path, replacing, sync_folder

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions, links and signals")


def test_replacing_writes_new_file(tmp_path: Path) -> None:
    path = tmp_path / "new.bin"
    with replacing(path) as (file,):
        file.write(b"one ")
        file.write(memoryview(b"two"))
        assert not path.exists()
    assert path.read_bytes() == b"one two"
    assert os.listdir(tmp_path) == ["new.bin"]


def test_replacing_names_temporary_file_beside_destination(tmp_path: Path) -> None:
    with replacing(tmp_path / "new.bin"):
        (name,) = os.listdir(tmp_path)
        assert re.fullmatch(r"new\.bin\.tmp-[0-9a-f]{16}", name)


@pytest.mark.parametrize("letter", ["x", "é", "日"])
def test_replacing_takes_names_as_long_as_the_system_does(tmp_path: Path, letter: str) -> None:
    name = letter * (255 // len(letter.encode()))
    for _ in range(2):
        with replacing(tmp_path / name) as (file,):
            file.write(b"new")
            (temporary,) = set(os.listdir(tmp_path)) - {name}
            assert re.fullmatch(letter + r"+\.tmp-[0-9a-f]{16}", temporary)
    assert os.listdir(tmp_path) == [name]
    with pytest.raises(OSError, match="too long") as error, replacing(tmp_path / (name + letter)):
        pass
    assert error.value.filename == str(tmp_path / (name + letter))
    assert os.listdir(tmp_path) == [name]


def test_replacing_keeps_old_file_until_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "old.bin"
    path.write_bytes(b"old")
    with replacing(path) as (file,):
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_replacing_discards_on_any_error(tmp_path: Path, error: type[BaseException]) -> None:
    old = tmp_path / "old.bin"
    old.write_bytes(b"old")
    with pytest.raises(error), replacing(old, tmp_path / "new.bin") as (first, second):  # noqa: PT012
        first.write(b"x")
        second.write(b"y")
        raise error
    assert old.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["old.bin"]


def test_replacing_leaves_nothing_when_second_destination_cannot_be_opened(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere" / "b.bin"
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a.bin", missing):
        raise AssertionError("the block must not run")
    assert caught.value.filename == str(missing)
    assert os.listdir(tmp_path) == []


def test_replacing_finishes_every_file_before_first_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = 0
    real_fsync = os.fsync

    def second_fsync_fails(fd: int) -> None:
        nonlocal synced
        synced += 1
        if synced == 2:
            raise OSError(errno.EIO, "Input/output error")
        real_fsync(fd)

    monkeypatch.setattr(os, "fsync", second_fsync_fails)
    (tmp_path / "a.bin").write_bytes(b"old")
    paths = tmp_path / "a.bin", tmp_path / "b.bin"
    with pytest.raises(OSError, match="Input/output") as caught, replacing(*paths) as (a, b):  # noqa: PT012
        a.write(b"new")
        b.write(b"new")
    assert caught.value.filename == str(tmp_path / "b.bin")
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_write_continues_after_short_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, data[:3]))
    with replacing(tmp_path / "a.bin") as (file,):
        file.write(b"0123456789")
    assert (tmp_path / "a.bin").read_bytes() == b"0123456789"


@posix
@pytest.mark.parametrize("call", ["open", "write", "fsync", "close", "replace"])
def test_replacing_survives_failure_of_each_system_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError) as caught, replacing(path) as (file,):  # noqa: PT011
            file.write(b"new")
    assert str(caught.value) == f"[Errno {errno.ENOSPC}] No space left on device: {str(path)!r}"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@posix
def test_replacing_calls_write_fsync_rename_fsync_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real_write, real_fsync, real_replace = os.write, os.fsync, os.replace

    def write(fd: int, data: bytes) -> int:
        calls.append("write")
        return real_write(fd, data)

    def fsync(fd: int) -> None:
        calls.append("fsync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "fsync")
        real_fsync(fd)

    def replace(a: str, b: str) -> None:
        calls.append("rename")
        real_replace(a, b)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    with replacing(tmp_path / "a.bin") as (file,):
        file.write(b"x")
    assert calls == ["write", "fsync", "rename", "fsync folder"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o777])
def test_replacing_keeps_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    with replacing(path) as (file,):
        file.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


@posix
def test_replacing_new_file_honours_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.bin") as (file,):
            file.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o640


@posix
@pytest.mark.parametrize("target_exists", [True, False])
def test_replacing_follows_symbolic_link(tmp_path: Path, target_exists: bool) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "a.bin", tmp_path / "link.bin"
    if target_exists:
        target.write_bytes(b"old")
    link.symlink_to(target)
    with replacing(link) as (file,):
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path / "real") == ["a.bin"]


@posix
def test_replacing_refuses_what_is_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, error, text in (
        (tmp_path, IsADirectoryError, "Is a directory"),
        (tmp_path / "pipe", OSError, "Not a regular file"),
        (Path(os.devnull), OSError, "Not a regular file"),
    ):
        with pytest.raises(error, match=text) as caught, replacing(path):
            raise AssertionError("the block must not run")
        assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == ["pipe"]


def test_check_path_refuses_nul() -> None:
    with pytest.raises(ValueError, match="NUL") as caught:
        check_path("a\0b")
    assert str(caught.value) == "a path must not contain a NUL character. Received: 'a\\x00b'"


_WRITER = """
import sys
from fastembed.io.atomic import replacing
path, block = sys.argv[1], bytes(range(256)) * 4096
print("ready", flush=True)
while True:
    with replacing(path) as (file,):
        for _ in range(4):
            file.write(block)
"""


@posix
def test_replacing_survives_kill(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    old = b"old" * 1000
    whole = bytes(range(256)) * 4096 * 4
    path.write_bytes(old)
    for i in range(10):
        with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(0.003 * (i + 1))
            writer.send_signal(signal.SIGKILL)
        assert path.read_bytes() in (old, whole)


_FULL_DISK = """
import os, resource, sys
from fastembed.io.atomic import replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with replacing(sys.argv[1]) as (file,):
        for _ in range(10):
            file.write(b"x" * 30_000)
except OSError as error:
    print(error.filename == sys.argv[1], os.listdir(os.path.dirname(sys.argv[1])))
"""


@posix
def test_replacing_full_disk_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path / "a.bin")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "True []\n"


@posix
def test_sync_folder_lets_pass_only_that_a_folder_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_with(number: int) -> None:
        def fsync(fd: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fsync)

    for number in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
        fail_with(number)
        sync_folder(str(tmp_path))
    fail_with(errno.EIO)
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.EIO))):
        sync_folder(str(tmp_path))
