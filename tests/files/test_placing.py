"""Results come to their places on every kind of disk; what cannot work is found beforehand."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from remote_upscale.api_clients.errors import InvalidInput, Meaning, StorageFailed
from remote_upscale.api_clients.files.atomic_write import (
    cannot_write,
    check_place,
    copy_into_place,
    create_partial,
    discard,
    move_into_place,
)

CONTENT = os.urandom(300_000)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Generator[Path]:
    """A folder on another disk than ``tmp_path``."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one disk here")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


def test_a_result_comes_from_another_disk(tmp_path: Path, elsewhere: Path) -> None:
    source, destination = elsewhere / "download", tmp_path / "new" / "out.png"
    source.write_bytes(CONTENT)
    source.chmod(0o600)
    move_into_place(source, destination)
    assert destination.read_bytes() == CONTENT
    assert names(elsewhere) == set()
    assert names(destination.parent) == {"out.png"}
    (plain := tmp_path / "plain").touch()
    assert destination.stat().st_mode == plain.stat().st_mode


def test_a_result_that_does_not_fit_on_the_other_disk_stays_where_it_was(
    tmp_path: Path, elsewhere: Path
) -> None:
    source, destination = elsewhere / "download", tmp_path / "out.png"
    source.write_bytes(CONTENT)
    destination.mkdir()
    with pytest.raises(InvalidInput, match="is a folder"):
        move_into_place(source, destination)
    assert source.read_bytes() == CONTENT
    assert names(tmp_path) == {"out.png"}


def test_moving_onto_itself_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(CONTENT)
    move_into_place(path, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("other_disk", [False, True])
def test_a_copy_is_a_file_of_its_own(
    other_disk: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = (request.getfixturevalue("elsewhere") if other_disk else tmp_path) / "stored"
    destination = tmp_path / "new" / "out.png"
    for content in (CONTENT, b"", CONTENT[:99_999]):
        source.write_bytes(content)
        source.chmod(0o600)
        copy_into_place(source, destination)
        assert destination.read_bytes() == content
        assert not destination.samefile(source)
    assert destination.stat().st_nlink == 1
    assert names(destination.parent) == {"out.png"}
    (plain := tmp_path / "plain").touch()
    assert destination.stat().st_mode == plain.stat().st_mode


@pytest.mark.skipif(not hasattr(os, "copy_file_range"), reason="the system has no call of this kind")
def test_a_copy_is_whole_where_the_system_copies_a_part_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, calls = os.copy_file_range, iter(range(9))

    def gives_up(source: int, into: int, count: int) -> int:
        if next(calls):
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return system(source, into, 1000)

    monkeypatch.setattr(os, "copy_file_range", gives_up)
    (tmp_path / "stored").write_bytes(CONTENT)
    copy_into_place(tmp_path / "stored", tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == CONTENT


def test_a_stored_file_that_is_gone_is_not_called_the_destinations_fault(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="stored cannot be read"):
        copy_into_place(tmp_path / "stored", tmp_path / "out.png")
    assert names(tmp_path) == set()


class Recorder:
    """What the system is asked to do, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []
        sync, rename = os.fsync, Path.replace

        def fsync(handle: int) -> None:
            self.calls.append(("sync", str(Path(f"/proc/self/fd/{handle}").readlink())))
            sync(handle)

        def replace(source: Path, target: Path) -> Path:
            self.calls.append(("rename", str(target)))
            return rename(source, target)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Path, "replace", replace)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell what a handle is of")
def test_bytes_come_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = tmp_path / "new" / "deeper" / "out.png"
    recorder = Recorder(monkeypatch)
    partial = create_partial(destination)
    # The folders that were made are there after a power cut as well.
    assert set(recorder.calls) == {("sync", str(tmp_path)), ("sync", str(tmp_path / "new"))}
    recorder.calls.clear()
    move_into_place(partial, destination)
    expected = [("rename", str(destination)), ("sync", str(destination.parent))]
    assert recorder.calls == [("sync", str(partial)), *expected]
    recorder.calls.clear()
    copy_into_place(destination, destination.with_name("copy.png"))
    assert [call for call, _ in recorder.calls] == ["sync", "rename", "sync"]
    recorder.calls.clear()
    copy_into_place(destination, destination.with_name("copy.png"), durable=False)
    assert [call for call, _ in recorder.calls] == ["rename"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_what_a_disk_does_not_offer_is_no_failure(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*given: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuses)
    monkeypatch.setattr(os, "chmod", refuses)
    monkeypatch.setattr(Path, "chmod", refuses)
    destination = tmp_path / "new" / "out.png"
    check_place(destination)
    partial = create_partial(destination)
    partial.write_bytes(CONTENT)
    move_into_place(partial, destination)
    copy_into_place(destination, tmp_path / "copy.png")
    assert destination.read_bytes() == (tmp_path / "copy.png").read_bytes() == CONTENT


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_bytes_that_do_not_reach_the_disk_are_told(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As network drives say it, which take what is written and only then find that it does not fit."""
    partial = create_partial(tmp_path / "out.png")

    def fails(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(StorageFailed, match="cannot be written") as caught:
        move_into_place(partial, tmp_path / "out.png")
    assert caught.value.meaning is Meaning.RESUMABLE
    assert partial.exists()
    discard(partial)


def test_looking_at_a_place_leaves_it_as_it_was(tmp_path: Path) -> None:
    destination = tmp_path / "out.png"
    check_place(destination)
    assert names(tmp_path) == set()
    destination.write_bytes(b"old")
    destination.chmod(0o444)  # may be replaced all the same
    os.utime(destination, (1, 1))
    check_place(destination)
    assert names(tmp_path) == {"out.png"}
    assert destination.read_bytes() == b"old"
    assert destination.stat().st_mtime == 1
    (tmp_path / "link.png").symlink_to("nowhere")
    check_place(tmp_path / "link.png")


def test_nothing_was_sent_where_the_place_is_no_good(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for destination in (tmp_path, tmp_path / "file" / "out.png", tmp_path / ("a" * 300), Path("/dev/null")):
        with pytest.raises(InvalidInput) as caught:
            check_place(destination)
        assert caught.value.meaning is Meaning.NOT_SENT


CHECK = """
import os, sys
from pathlib import Path
from remote_upscale.api_clients.errors import RemoteUpscaleError
from remote_upscale.api_clients.files import atomic_write as place
if len(sys.argv) > 2:
    os.setuid(int(sys.argv[2]))
try:
    place.check_place(Path(sys.argv[1]))
except RemoteUpscaleError as error:
    print(error.kind, error.meaning, error)
else:
    print("fine")
"""


def check_in_another_process(destination: Path, user: int | None = None, before: str = "") -> str:
    command = [sys.executable, "-c", CHECK, str(destination), *([] if user is None else [str(user)])]
    if before:
        command = ["unshare", "-rm", "sh", "-c", f'{before} || exit 77; exec "$@"', "sh", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if before and done.returncode and "Error" not in done.stderr:
        pytest.skip("disks cannot be made here")
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("unshare"), reason="disks cannot be made here")
def test_a_full_disk_is_found_beforehand(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    fill = f"mount -t tmpfs -o size=128k tmpfs {full} && head -c 100000 /dev/zero > {full}/most"
    words = check_in_another_process(full / "out.png", before=fill)
    assert words.startswith("storage not_sent")
    assert "the disk is full" in words
    assert f"Free some space in {full}" in words


@pytest.mark.skipif(not shutil.which("unshare"), reason="disks cannot be made here")
def test_a_read_only_disk_is_found_beforehand(tmp_path: Path) -> None:
    words = check_in_another_process(tmp_path / "out.png", before=f"mount -t tmpfs -o ro tmpfs {tmp_path}")
    assert words.startswith("storage not_sent")
    assert "the folder is read-only" in words


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs a second user")
def test_somebody_elses_file_in_a_shared_folder_is_found_beforehand() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o1777)
        os.chown(folder, 65533, -1)
        (folder / "theirs.png").write_bytes(b"old")
        assert "writing there is not permitted" in check_in_another_process(folder / "theirs.png", 65534)
        assert check_in_another_process(folder / "mine.png", 65534) == "fine\n"
        os.chown(folder / "theirs.png", 65534, -1)
        assert check_in_another_process(folder / "theirs.png", 65534) == "fine\n"
        assert names(folder) == {"theirs.png"}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


@pytest.mark.skipif(not shutil.which("chattr"), reason="files cannot be marked as unchangeable here")
def test_a_file_that_is_marked_as_unchangeable_is_found_beforehand(tmp_path: Path) -> None:
    destination = tmp_path / "out.png"
    destination.write_bytes(b"old")
    if subprocess.run(["chattr", "+i", destination], capture_output=True, check=False).returncode:
        pytest.skip("files cannot be marked as unchangeable here")
    try:
        with pytest.raises(StorageFailed, match="writing there is not permitted"):
            check_place(destination)
    finally:
        subprocess.run(["chattr", "-i", destination], check=True)
    assert names(tmp_path) == {"out.png"}


CROWD = """
import sys
from pathlib import Path
from remote_upscale.api_clients.files.atomic_write import create_partial, discard, move_into_place
sys.stdin.readline()
for number in range(150):
    partial = create_partial(Path(sys.argv[1]))
    partial.write_bytes(b"whole")
    if number % 2:
        move_into_place(partial, Path(sys.argv[1]), durable=False)
    else:
        assert partial.exists()
        discard(partial)
"""


def test_processes_that_write_the_same_file_leave_each_other_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CROWD, str(tmp_path / "out.png")]
    crowd = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write(b"now\n")
        process.stdin.flush()
    for process in crowd:
        assert not process.communicate()[1]
    assert names(tmp_path) == {"out.png"}


def test_too_many_open_files_are_told_by_the_limit(tmp_path):
    found = cannot_write(tmp_path / "a.png", OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    assert isinstance(found, StorageFailed)
    assert "ulimit -n" in found.hint
