import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from remote_upscale.api_clients.locks import FileLock


def test_one_holds_it_and_its_file_is_there_no_longer_than_that(tmp_path):
    path = tmp_path / "new" / "lock"
    first = FileLock.try_take(path)
    assert first is not None
    assert FileLock.try_take(path) is None
    first.release()
    assert list(path.parent.iterdir()) == []
    again = FileLock.try_take(path)
    assert again is not None
    again.release()


def test_what_a_dead_process_left_is_free(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    lock = FileLock.try_take(path)
    assert lock is not None
    lock.release()
    assert not path.exists()


def test_files_of_locks_that_nobody_holds_are_removed(tmp_path):
    for name in ("left.lock", "held.lock", "other.part"):
        (tmp_path / name).touch()
    held = FileLock.try_take(tmp_path / "held.lock")
    FileLock.remove_left_behind(tmp_path)
    FileLock.remove_left_behind(tmp_path / "missing")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["held.lock", "other.part"]
    held.release()


def test_no_two_hold_it_while_its_file_comes_and_goes(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count(_: int) -> None:
        while (lock := FileLock.try_take(tmp_path / "lock")) is None:
            time.sleep(0)
        value = int(counter.read_text())
        time.sleep(0)
        counter.write_text(str(value + 1))
        lock.release()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(400)))
    assert counter.read_text() == "400"


@pytest.mark.skipif(os.name != "posix", reason="of POSIX")
def test_where_there_can_be_no_lock_it_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        FileLock.try_take(tmp_path / "file" / "lock")
