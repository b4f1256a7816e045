"""The result store in a folder: durable, whole, and light."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from remote_upscale.api_clients.errors import StorageFailed
from remote_upscale.api_clients.files.atomic_write import copy_into_place
from remote_upscale.api_clients.results import DamagedResult, LocalResults, open_results
from remote_upscale.api_clients.settings import Settings

CONTENT = os.urandom(300_000)
NAME = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path):
    return LocalResults(tmp_path / "home" / "results")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "result.png"
    path.write_bytes(CONTENT)
    return path


def files(tmp_path):
    return sorted(path for path in (tmp_path / "home").rglob("*") if path.is_file())


async def test_the_stored_file_itself_can_be_had(store, file, tmp_path):
    assert store.local_path(NAME) is None
    await store.put(file, NAME)
    path = store.local_path(NAME, size=len(CONTENT))
    assert path is not None
    assert path == store.local_path(NAME)
    assert path.read_bytes() == CONTENT
    assert store.local_path(NAME, size=1) is None
    copy_into_place(path, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes() == path.read_bytes() == CONTENT
    await store.remove(NAME)
    assert store.local_path(NAME) is None


async def test_a_file_that_is_not_needed_is_taken_without_a_copy(store, file):
    number = file.stat().st_ino
    await store.put(file, NAME, move=True)
    assert not file.exists()
    assert store.local_path(NAME).stat().st_ino == number


def test_a_file_from_another_disk_is_copied(store, tmp_path):
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one disk here")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        file = Path(folder, "result.png")
        file.write_bytes(CONTENT)
        asyncio.run(store.put(file, NAME, move=True))
    assert store.local_path(NAME).read_bytes() == CONTENT
    assert len(files(tmp_path)) == 1


async def test_a_whole_file_replaces_a_damaged_one_of_the_same_length(store, file, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(os.urandom(len(CONTENT)))
    await store.put(other, NAME)
    await store.put(file, NAME, move=True)
    assert store.local_path(NAME).read_bytes() == CONTENT


async def test_a_file_that_cannot_be_stored_is_where_it_was(file, tmp_path):
    (tmp_path / "home").write_text("in the way")
    store = LocalResults(tmp_path / "home" / "results")
    with pytest.raises(StorageFailed):
        await store.put(file, NAME, move=True)
    assert file.read_bytes() == CONTENT


async def test_what_changed_on_the_way_out_is_noticed(store, file, tmp_path):
    await store.put(file, NAME)
    path = store.local_path(NAME)
    path.write_bytes(b"\1" + CONTENT[1:])
    (tmp_path / "out.png").touch()
    with pytest.raises(DamagedResult):
        await store.get(NAME, tmp_path / "out.png")
    assert store.local_path(NAME) is None


DURABLE = """
import asyncio, json, os, sys
from pathlib import Path
from remote_upscale.api_clients.results import LocalResults
calls = []
def recorded(name, function, told):
    def call(*given):
        calls.append([name, str(told(*given))])
        return function(*given)
    return call
of_handle = lambda handle: Path(f"/proc/self/fd/{handle}").readlink()
os.fsync = recorded("sync", os.fsync, of_handle)
os.rename = recorded("rename", os.rename, lambda source, target: target)
os.replace = recorded("rename", os.replace, lambda source, target: target)
for number, how in enumerate(sys.argv[3:]):
    asyncio.run(LocalResults(Path(sys.argv[1])).put(Path(sys.argv[2]), "ab" * 32, move=how == "move"))
    calls.append(["stored", ""])
print(json.dumps(calls))
"""


def recorded(folder, file, *how):
    done = subprocess.run(
        [sys.executable, "-c", DURABLE, folder, file, *how], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell what a handle is of")
@pytest.mark.parametrize("how", ["copy", "move"])
def test_bytes_and_names_are_on_the_disk_before_it_counts_as_stored(how, file, tmp_path):
    folder = tmp_path / "home" / "results"
    calls = recorded(folder, file, how)
    renamed = calls.index(["rename", str(folder / "ab" / ("ab" * 32))])
    before, after = calls[:renamed], calls[renamed:]
    assert before[-1][0] == "sync"
    assert before[-1][1] == str(file) if how == "move" else ".part" in before[-1][1]
    assert ["sync", str(folder / "ab")] in after
    assert ["sync", str(folder)] in after
    # Every folder that was made is in its parent for good.
    assert {str(path) for path in (tmp_path, tmp_path / "home", folder)} <= {
        name for call, name in calls if call == "sync"
    }
    assert calls[-1][0] == "stored"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell what a handle is of")
def test_what_another_process_put_there_is_synced_as_well(file, tmp_path):
    """It may have been killed, or be at it, between the name and the sync."""
    folder = tmp_path / "results"
    (folder / "ab").mkdir(parents=True)
    (folder / "ab" / ("ab" * 32)).write_bytes(CONTENT)
    assert recorded(folder, file, "copy") == [
        ["sync", str(folder / "ab" / ("ab" * 32))],
        ["sync", str(folder / "ab")],
        ["sync", str(folder)],
        ["stored", ""],
    ]


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from remote_upscale.api_clients.results import LocalResults
def killed(handle):
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = killed
Path(sys.argv[1], "ab").mkdir(parents=True)
asyncio.run(LocalResults(Path(sys.argv[1])).put(Path(sys.argv[2]), "ab" * 32))
"""


@pytest.mark.skipif(os.name == "nt", reason="on Windows age alone tells")
def test_what_a_killed_process_left_is_never_seen_and_goes(store, file, tmp_path):
    folder = tmp_path / "home" / "results"
    done = subprocess.run([sys.executable, "-c", KILLED, folder, file], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(files(tmp_path)) == 1
    assert store.local_path("ab" * 32) is None
    asyncio.run(store.put(file, NAME))
    assert files(tmp_path) == [store.local_path(NAME)]


async def test_reading_while_others_write_gives_all_or_nothing(store, file, tmp_path):
    async def read(number):
        into = tmp_path / f"back{number}"
        into.touch()
        return await store.get(NAME, into) is False or into.read_bytes() == CONTENT

    async def write(number):
        copy = tmp_path / f"copy{number}"
        copy.write_bytes(CONTENT)
        await store.put(copy, NAME, move=number % 2 == 0)
        return True

    assert all(await asyncio.gather(*(step(number) for number in range(20) for step in (read, write))))


def test_the_object_stores_library_is_left_alone(tmp_path):
    code = (
        "import sys; from pathlib import Path; from remote_upscale.api_clients.results import open_results;"
        "from remote_upscale.api_clients.settings import Settings;"
        "print(open_results(Settings(home=Path('x'))).place, 'obstore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(Path("x", "results")), "False"]


def test_the_settings_decide(tmp_path, s3_url):
    assert isinstance(open_results(Settings(home=tmp_path)), LocalResults)
    remote = open_results(Settings(home=tmp_path, results_url=s3_url))
    assert remote.place == s3_url
    assert remote.local_path(NAME) is None
