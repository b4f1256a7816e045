import hashlib
import os
import stat
from pathlib import Path

import pytest
from remote_upscale.api_clients.errors import StorageFailed
from remote_upscale.api_clients.http import PartialFile
from remote_upscale.api_clients.http.validator import Validator

VERSION = Validator('"v1"', 9, "ab" * 32)
KEPT = {"r", "r.version"}


def names(folder) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "job" / "r"


def test_what_was_written_and_its_version_are_there_again(path):
    with PartialFile.open(path) as partial:
        partial.restart(VERSION)
        partial.write(b"abc", b"de")
    assert names(path.parent) == KEPT
    with PartialFile.open(path) as again:
        assert (again.size, again.validator, again.path) == (5, VERSION, path)
        again.write(b"fghi")
        assert again.sha256() == hashlib.sha256(b"abcdefghi").hexdigest()
        assert path.read_bytes() == b"abcdefghi"


def test_the_version_is_on_the_disk_before_much_of_the_data_is(path):
    with PartialFile.open(path) as partial:
        partial.restart(VERSION)
        partial.write(b"abc")
        assert "r.version" not in names(path.parent), "not worth a write to the disk"
        partial.write(bytes(2 << 20))
        assert "r.version" in names(path.parent)


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"condition": 1}', b'{"condition": "\\n", "resource": "a"}']
)
def test_data_of_an_unknown_version_is_dropped(path, damage):
    with PartialFile.open(path) as partial:
        partial.restart(VERSION)
        partial.write(b"abc")
    path.with_name("r.version").write_bytes(damage)
    with PartialFile.open(path) as again:
        assert (again.size, again.validator) == (0, None)
        assert names(path.parent) == {"r", "r.lock"}
        assert path.read_bytes() == b""


def test_more_data_than_the_version_has_is_dropped(path):
    with PartialFile.open(path) as partial:
        partial.restart(VERSION)
        partial.write(bytes(10))
    with PartialFile.open(path) as again:
        assert again.size == 0


def test_the_digest_follows_cuts_and_new_beginnings(path):
    with PartialFile.open(path) as partial:
        assert partial.sha256() == hashlib.sha256().hexdigest()
        partial.write(b"abcdef")
        partial.cut(3)
        partial.cut(5)
        assert partial.sha256() == hashlib.sha256(b"abc").hexdigest()
        partial.write(b"x")
        assert partial.sha256() == hashlib.sha256(b"abcx").hexdigest()
        partial.restart()
        partial.write(b"new")
        assert partial.sha256() == hashlib.sha256(b"new").hexdigest()
    assert path.read_bytes() == b"new"


def test_taken_it_is_the_caller_s_and_nothing_else_is_left(path):
    partial = PartialFile.open(path)
    partial.restart(VERSION)
    partial.write(b"abc")
    assert partial.take() == path
    partial.discard()
    partial.close()
    assert names(path.parent) == {"r"}
    assert path.read_bytes() == b"abc"


def test_discarded_nothing_is_left(path):
    partial = PartialFile.open(path)
    partial.restart(VERSION)
    partial.write(b"abc")
    partial.close()
    again = PartialFile.open(path)
    again.discard()
    again.take()
    assert names(path.parent) == set()


def test_one_at_a_time_also_in_one_process(path):
    with PartialFile.open(path), pytest.raises(StorageFailed, match="in use"):
        PartialFile.open(path)
    PartialFile.open(path).discard()


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX thing")
def test_only_the_user_can_read_it(path):
    with PartialFile.open(path) as partial:
        partial.restart(VERSION)
        partial.write(b"abc")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.with_name("r.version").stat().st_mode) == 0o600


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_a_failure_of_the_storage(path):
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    partial = PartialFile.open(path)
    with pytest.raises(StorageFailed, match="the disk is full"):
        partial.write(b"abc")
    assert partial.size == 0
    partial.discard()


def test_a_place_that_cannot_be_written_is_a_failure_of_the_storage(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageFailed, match="cannot be written"):
        PartialFile.open(tmp_path / "file" / "r")
    (tmp_path / "folder").mkdir()
    for _ in range(2):
        with pytest.raises(StorageFailed, match="folder cannot be written"):
            PartialFile.open(tmp_path / "folder")
    assert names(tmp_path) == {"file", "folder"}
