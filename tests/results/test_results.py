"""The result store, in a folder and in S3."""

import asyncio
import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from remote_upscale.api_clients.errors import InvalidParameter, StorageFailed
from remote_upscale.api_clients.results import DamagedResult, LocalResults, open_results
from remote_upscale.api_clients.results.remote import RemoteResults
from remote_upscale.api_clients.settings import Settings, TimeLimits

LIMITS = TimeLimits(idle=2, retry=1)


@pytest.fixture(params=["folder", "s3"])
def results(request, tmp_path):
    if request.param == "folder":
        return LocalResults(tmp_path / "home" / "results")
    return RemoteResults(request.getfixturevalue("s3_url"), LIMITS)


@pytest.fixture
def file(tmp_path):
    return make(tmp_path / "result.png", os.urandom(100_000))


def make(path, data):
    path.write_bytes(data)
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def all_names(results):
    async def collect():
        return [entry async for entry in results.names()]

    return collect()


async def test_there_and_back(results, file, tmp_path):
    before = datetime.now(UTC) - timedelta(seconds=2)
    back = make(tmp_path / "back", b"something longer than nothing")
    name = digest(file)
    assert not await results.get(name, back)
    await results.put(file, name)
    await results.put(file, name)
    assert await results.get(name, back, size=100_000)
    assert back.read_bytes() == file.read_bytes()
    [entry] = await all_names(results)
    assert (entry.sha256, entry.bytes) == (name, 100_000)
    assert before <= entry.modified <= datetime.now(UTC) + timedelta(seconds=2)
    await results.remove(name)
    await results.remove(name)
    assert not await results.get(name, back)
    assert await all_names(results) == []


async def test_an_empty_and_a_large_file(results, tmp_path):
    for size in (0, 20 << 20):
        there, back = make(tmp_path / "there", os.urandom(size)), make(tmp_path / "back", b"x")
        await results.put(there, digest(there))
        assert await results.get(digest(there), back)
        assert back.read_bytes() == there.read_bytes()


@pytest.mark.parametrize("known", [None, 100_000])
async def test_damage_is_noticed_removed_and_can_be_repaired(results, file, tmp_path, known):
    back = make(tmp_path / "back", b"")
    name = digest(file)
    other = make(tmp_path / "other", os.urandom(100_000))
    await results.put(other, name)  # as if its bytes had changed
    with pytest.raises(DamagedResult):
        await results.get(name, back, size=known)
    assert not await results.get(name, back)
    await results.put(file, name)
    assert await results.get(name, back)


async def test_a_wrong_length_is_damage(results, file, tmp_path):
    await results.put(file, digest(file))
    with pytest.raises(DamagedResult):
        await results.get(digest(file), make(tmp_path / "back", b""), size=99_999)


async def test_it_can_be_tried_out(results):
    await results.check()
    assert await all_names(results) == []


async def test_many_at_once(results, tmp_path):
    files = [make(tmp_path / f"{index}", os.urandom(50_000)) for index in range(8)]
    await asyncio.gather(*(results.put(file, digest(file)) for file in files * 2))
    assert {entry.sha256 for entry in await all_names(results)} == {digest(file) for file in files}


async def test_what_is_not_ours_is_left_alone(tmp_path, file):
    results = LocalResults(tmp_path / "results")
    await results.put(file, digest(file))
    (tmp_path / "results" / "notes.txt").write_text("mine")
    (tmp_path / "results" / "ab").mkdir(exist_ok=True)
    (tmp_path / "results" / "ab" / "cd").write_text("mine")
    assert [entry.sha256 for entry in await all_names(results)] == [digest(file)]


async def test_the_folder_is_for_this_user_alone(tmp_path, file):
    folder = tmp_path / "results"
    results = LocalResults(folder)
    assert not folder.exists()
    await results.put(file, digest(file))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert results.place == str(folder)


@pytest.mark.parametrize("url", ["nonsense", "ftp://x/y", "http://x.test/SECRET?k=SECRET", "s3://"])
def test_what_is_no_store_is_refused(tmp_path, url):
    with pytest.raises(InvalidParameter, match="REMOTE_UPSCALE_RESULTS_URL") as caught:
        open_results(Settings(home=tmp_path, results_url=url))
    assert "SECRET" not in str(caught.value)


async def test_a_bucket_that_does_not_exist_is_told(s3_url, tmp_path, file):
    results = RemoteResults(s3_url.replace("bucket", "no-such-bucket"), LIMITS)
    with pytest.raises(StorageFailed, match="NoSuchBucket"):
        await results.put(file, digest(file))
    with pytest.raises(StorageFailed, match="NoSuchBucket"):  # else a paid result would pass for lost
        await results.get(digest(file), file)


async def test_a_store_that_cannot_be_reached_is_told_without_its_secrets(monkeypatch, tmp_path, file):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SECRET-ID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET-KEY")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    results = RemoteResults("s3://bucket/prefix", LIMITS)
    name = digest(file)
    for attempt in (lambda: results.put(file, name), lambda: results.get(name, file), results.check):
        async with asyncio.timeout(20):
            with pytest.raises(StorageFailed) as caught:
                await attempt()
        assert "SECRET" not in str(caught.value)
        assert "s3://bucket/prefix" in caught.value.message


async def test_a_store_without_credentials_names_what_was_looked_for(monkeypatch, file):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")  # where a machine in the cloud has them
    monkeypatch.setenv("AWS_PROFILE", "studio")
    results = RemoteResults("s3://bucket/prefix", LIMITS)
    async with asyncio.timeout(60):
        with pytest.raises(StorageFailed) as caught:
            await results.put(file, digest(file))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "~/.aws"):
        assert name in caught.value.hint


async def test_a_file_in_place_of_the_folder_is_told(tmp_path, file):
    make(tmp_path / "results", b"")
    results = LocalResults(tmp_path / "results")
    with pytest.raises(StorageFailed, match=r"results cannot be used: .*(File exists|Not a directory)"):
        await results.put(file, digest(file))


async def test_what_cannot_be_written_is_the_destinations_trouble(tmp_path, file):
    results = LocalResults(tmp_path / "results")
    await results.put(file, digest(file))
    with pytest.raises(StorageFailed, match=r"^/dev/full cannot be written: the disk is full"):
        await results.get(digest(file), Path("/dev/full"))


FULL = """
import asyncio, resource, signal, sys
from pathlib import Path
from remote_upscale.api_clients.results import LocalResults
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
asyncio.run(LocalResults(Path(sys.argv[1])).put(Path(sys.argv[2]), "a" * 64))
"""


def test_a_disk_that_takes_no_more_is_told_and_leaves_nothing(tmp_path, file):
    folder = tmp_path / "results"
    done = subprocess.run(
        [sys.executable, "-c", FULL, folder, file], capture_output=True, text=True, check=False
    )
    assert "StorageFailed" in done.stderr
    assert "File too large" in done.stderr
    assert [path for path in folder.rglob("*") if path.is_file()] == []


UNWRITABLE = """
import asyncio, concurrent.futures.thread, os, sys
from pathlib import Path
from remote_upscale.api_clients.results import LocalResults
os.geteuid() == 0 and os.seteuid(65534)
asyncio.run(LocalResults(Path(sys.argv[1])).put(Path(sys.argv[2]), "a" * 64))
"""


def test_a_folder_that_may_not_be_written_is_told(tmp_path, file):
    folder = tmp_path / "results"
    folder.mkdir(mode=0o555)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", UNWRITABLE, folder, file], capture_output=True, text=True, check=False
    )
    assert "StorageFailed" in done.stderr
    assert "Permission denied" in done.stderr


LARGE = """
import asyncio, hashlib, resource, sys
from pathlib import Path
from remote_upscale.api_clients.results import LocalResults
folder = Path(sys.argv[1])
large = folder / "large"
with large.open("wb") as file:
    file.truncate(400 << 20)
digest = hashlib.sha256()
for _ in range(400):
    digest.update(bytes(1 << 20))
async def main():
    results = LocalResults(folder / "results")
    await results.put(large, digest.hexdigest())
    assert await results.get(digest.hexdigest(), large)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
asyncio.run(main())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_stays_flat(tmp_path):
    done = subprocess.run([sys.executable, "-c", LARGE, tmp_path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150 * 1024  # KiB, for 400 MiB
