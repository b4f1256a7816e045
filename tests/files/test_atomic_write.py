"""Final names: whole files only, and nothing left behind when it fails."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from remote_upscale.api_clients.errors import InvalidInput, Meaning, StorageFailed
from remote_upscale.api_clients.files.atomic_write import (
    cannot_write,
    check_place,
    create_partial,
    discard,
    move_into_place,
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_result_appears_under_its_name_in_one_step(tmp_path: Path) -> None:
    destination = tmp_path / "new" / "folders" / "out.png"
    partial = create_partial(destination)
    assert partial.parent == destination.parent
    assert partial.name.startswith(".out.png.")
    assert partial.suffix == ".part"
    assert partial.read_bytes() == b""
    partial.write_bytes(b"result")
    assert not destination.exists()
    move_into_place(partial, destination)
    assert destination.read_bytes() == b"result"
    assert names(destination.parent) == {"out.png"}


def test_an_old_result_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    destination = tmp_path / "out.png"
    destination.write_bytes(b"old")
    partial = create_partial(destination)
    partial.write_bytes(b"new")
    assert destination.read_bytes() == b"old"
    move_into_place(partial, destination)
    assert destination.read_bytes() == b"new"


def test_every_partial_file_is_another(tmp_path: Path) -> None:
    assert len({create_partial(tmp_path / "out.png") for _ in range(20)}) == 20


KILLED = """
import os, signal, sys
from pathlib import Path
from remote_upscale.api_clients.files.atomic_write import create_partial
create_partial(Path(sys.argv[1])).write_bytes(b"half a result")
print("ready", flush=True)
if sys.argv[2] == "stay":
    sys.stdin.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""


def start_other(destination: Path, then: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", KILLED, str(destination), then]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    return other


@pytest.mark.skipif(os.name == "nt", reason="on Windows age alone tells")
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    destination = tmp_path / "out.png"
    for _ in range(2):
        start_other(destination, "die").communicate()
    other = start_other(destination, "stay")
    mine = create_partial(destination)
    assert len(names(tmp_path)) == 2
    assert mine.exists()
    another = create_partial(destination)
    assert len(names(tmp_path)) == 3
    other.communicate("die\n")
    discard(another)
    discard(mine)
    discard(create_partial(destination))
    assert names(tmp_path) == set()


def test_what_nobody_has_touched_for_long_is_removed(tmp_path: Path) -> None:
    old = tmp_path / ".out.png.0123.part"
    other = tmp_path / ".other.png.0123.part"
    for path in (old, other):
        path.touch()
        os.utime(path, (0, 0))
    discard(create_partial(tmp_path / "out.png"))
    assert names(tmp_path) == {".other.png.0123.part"}


@pytest.mark.skipif(os.name == "nt", reason="permissions of this kind are POSIX's")
def test_permissions_are_private_until_the_end(tmp_path: Path) -> None:
    destination = tmp_path / "out.png"
    before = os.umask(0o027)
    try:
        partial = create_partial(destination)
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        move_into_place(partial, destination)
    finally:
        os.umask(before)
    assert stat.S_IMODE(destination.stat().st_mode) == 0o640
    assert names(tmp_path) == {"out.png"}


def test_discard_removes_and_never_fails(tmp_path: Path) -> None:
    partial = create_partial(tmp_path / "out.png")
    discard(partial)
    discard(partial)
    assert names(tmp_path) == set()


def test_long_names_get_a_shorter_partial_one(tmp_path: Path) -> None:
    destination = tmp_path / ("ä" * 120 + "b" * 11 + ".png")
    assert len(destination.name.encode()) == 255
    partial = create_partial(destination)
    assert len(partial.name.encode()) <= 255
    move_into_place(partial, destination)
    assert names(tmp_path) == {destination.name}


def test_what_stands_in_the_way_is_said_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for destination, words in [
        (tmp_path / "folder", "is a folder"),
        (tmp_path / ("a" * 300 + ".png"), "name is too long"),
        (tmp_path / "file" / "out.png", "is a file, not a folder"),
        (tmp_path / "file" / "deeper" / "out.png", "is a file, not a folder"),
        (tmp_path / "a\0b.png", "cannot be written"),
    ]:
        with pytest.raises(InvalidInput, match=words) as caught:
            create_partial(destination)
        assert str(tmp_path) in caught.value.hint
    assert names(tmp_path) == {"file", "folder"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_folder_that_cannot_be_written_to_is_named() -> None:
    with pytest.raises(StorageFailed, match="cannot be written") as caught:
        create_partial(Path("/proc/self/out.png"))
    assert "/proc/self" in caught.value.hint


def test_a_failed_move_leaves_the_result_to_the_caller(tmp_path: Path) -> None:
    destination = tmp_path / "out.png"
    partial = create_partial(destination)
    partial.write_bytes(b"result")
    destination.mkdir()
    with pytest.raises(InvalidInput, match="is a folder") as caught:
        move_into_place(partial, destination)
    assert caught.value.meaning is Meaning.RESUMABLE  # it is paid for, whatever the name was
    assert partial.read_bytes() == b"result"
    discard(partial)
    assert names(tmp_path) == {"out.png"}


def test_a_partial_file_that_vanished_is_said(tmp_path: Path) -> None:
    partial = create_partial(tmp_path / "out.png")
    discard(partial)
    with pytest.raises(StorageFailed, match="cannot be written"):
        move_into_place(partial, tmp_path / "out.png")
    assert names(tmp_path) == set()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space") as caught, Path("/dev/full").open("wb", 0) as file:
        file.write(b"result")
    assert caught.value.errno == errno.ENOSPC
    error = cannot_write(tmp_path / "out.png", caught.value)
    assert isinstance(error, StorageFailed)
    assert "disk is full" in error.message
    assert str(tmp_path) in error.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_what_is_no_plain_file_is_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(InvalidInput, match="a device or a pipe"):
        create_partial(pipe)
    beside = create_partial(tmp_path / "other.png")
    with pytest.raises(InvalidInput, match="a device or a pipe"):
        move_into_place(beside, pipe)
    discard(beside)
    with pytest.raises(InvalidInput, match="a device or a pipe"):
        check_place(pipe)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.png"]
    assert pipe.is_fifo()
