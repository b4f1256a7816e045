import json
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from remote_upscale.api_clients.hosting.hosted import Hosted
from remote_upscale.api_clients.hosting.record import Record

NOW = time.time() + 100_000
"""Far ahead, as what has ended is dropped by the clock, however late a test comes."""
LINK = Hosted("https://v3.fal.media/files/b/x.png", NOW + 1000, "fal")


@pytest.fixture
def record(tmp_path) -> Record:
    return Record(tmp_path / "home" / "hosted.json")


def test_a_link_is_found_by_place_and_name_as_long_as_it_lasts(record, tmp_path):
    record.add("root", "a", LINK)
    again = Record(tmp_path / "home" / "hosted.json")
    assert again.find("root", "a", "fal", NOW + 999) == LINK
    assert again.find("root", "a", "fal", NOW + 1001) is None
    assert again.find("root", "b", "fal", NOW) is None
    assert again.find("other", "a", "fal", NOW) is None


def test_what_has_ended_is_dropped_and_what_does_not_work_is_forgotten(record, tmp_path):
    record.add("root", "old", Hosted("https://x/old", time.time() - 1, "fal"))
    record.add("root", "a", LINK)
    assert "https://x/old" not in (tmp_path / "home" / "hosted.json").read_text()
    record.remove("root", "a")
    assert record.find("root", "a", "fal", NOW) is None


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX thing")
def test_only_the_user_can_read_it_and_nothing_else_is_left(record, tmp_path):
    record.add("root", "a", LINK)
    record.add("root", "b", LINK)
    (path,) = (tmp_path / "home").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_place_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("x")
    record = Record(tmp_path / "file" / "hosted.json")
    record.add("root", "a", LINK)
    assert record.find("root", "a", "fal", NOW) is None


@given(st.binary(max_size=200) | st.sampled_from([b"[]", b"null", b'{"a":1}', b"[" * 100_000]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_ignored_and_replaced(tmp_path, damage):
    path = tmp_path / "hosted.json"
    path.write_bytes(damage)
    record = Record(path)
    assert record.find("root", "a", "fal", NOW) is None
    record.remove("root", "a")
    record.add("root", "a", LINK)
    assert record.find("root", "a", "fal", NOW) == LINK


@pytest.mark.parametrize(
    "entry", [1, None, [], {}, {"url": 1, "expires": 9e99}, {"url": "x", "expires": "soon"}]
)
def test_a_damaged_entry_is_ignored(record, tmp_path, entry):
    record.add("root", "a", LINK)
    path = tmp_path / "home" / "hosted.json"
    (key,) = json.loads(path.read_text())
    path.write_text(json.dumps({key: entry}))
    assert record.find("root", "a", "fal", NOW) is None
    record.add("root", "b", LINK)
    assert record.find("root", "b", "fal", NOW) == LINK


ADD = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from remote_upscale.api_clients.hosting.hosted import Hosted
from remote_upscale.api_clients.hosting.record import Record

def add(number):
    link = Hosted("https://x/y", time.time() + 999, "fal")
    Record(Path(sys.argv[1])).add("root", f"{sys.argv[2]}-{number}", link)

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(6) as pool:
    list(pool.map(add, range(6)))
"""


def test_links_that_are_added_at_once_are_all_kept(tmp_path):
    path = tmp_path / "hosted.json"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ADD, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.communicate("go\n")
        assert process.returncode == 0
    assert len(json.loads(path.read_text())) == 24
    assert [entry.name for entry in tmp_path.iterdir()] == ["hosted.json"]


def test_links_that_are_added_and_removed_at_once_are_right_in_the_end(tmp_path):
    path = tmp_path / "hosted.json"
    for number in range(12):
        Record(path).add("root", f"old-{number}", LINK)

    def change(number: int) -> None:
        Record(path).remove("root", f"old-{number}")
        Record(path).add("root", f"new-{number}", LINK)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(change, range(12)))
    record = Record(path)
    for number in range(12):
        assert record.find("root", f"old-{number}", "fal", NOW) is None
        assert record.find("root", f"new-{number}", "fal", NOW) == LINK
