"""Opening a ledger, and what a database or a disk can do to us."""

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from ledger_steps import HANDLE, prepare, submitted
from remote_upscale.api_clients.errors import InvalidParameter, StorageFailed
from remote_upscale.api_clients.ledger import Ledger, LedgerMisuse
from remote_upscale.api_clients.ledger.schema import metadata
from sqlalchemy import inspect


@pytest.fixture
def ledger(path):
    ledger = Ledger(path)
    yield ledger
    ledger.close()


def test_home_and_file_are_for_this_user_alone(path, ledger):
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_there_survives_opening_again(path):
    first = Ledger(path)
    job = submitted(first)
    first.close()
    second = Ledger(path)
    assert [row.id for row in second.resumable(sandbox=False)] == [job]
    second.close()


def test_a_closed_ledger_takes_nothing_and_leaves_no_mark(path):
    ledger = Ledger(path)
    prepare(ledger)
    ledger.close()
    assert list((path.parent / "running").iterdir()) == []
    with pytest.raises(LedgerMisuse):
        prepare(ledger)


def refuse(path, **options):
    with pytest.raises(StorageFailed) as caught:
        Ledger(path, **options)
    assert str(path) in caught.value.message
    assert "REMOTE_UPSCALE_HOME" in caught.value.hint
    return caught.value.message


def test_a_ledger_of_a_newer_release_is_refused(path):
    Ledger(path).close()
    change(path, "UPDATE remote_upscale_version SET version_num = 'v0099'")
    assert "newer release (v0099, this one knows v0005)" in refuse(path)


def test_the_steps_lead_to_the_tables_that_are_used(place):
    ledger = Ledger(place)
    found = inspect(ledger.database.engine)
    for table in metadata.sorted_tables:
        there = {column["name"]: column for column in found.get_columns(table.name)}
        assert list(there) == sorted(there, key=list(there).index)
        assert set(there) == {column.name for column in table.columns}
        for column in table.columns:
            assert there[column.name]["nullable"] == column.nullable, column
        names = {index["name"] for index in found.get_indexes(table.name)}
        assert names == {index.name for index in table.indexes}
    ledger.close()


def test_two_processes_may_make_the_tables_at_once(place):
    program = (
        "import sys; from pathlib import Path; from remote_upscale.api_clients.ledger import Ledger\n"
        "place = sys.argv[1]\n"
        "Ledger(place if '://' in place else Path(place)).close()"
    )
    command = [sys.executable, "-c", program, str(place)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[1] for process in started] == ["", "", ""]


def test_one_process_may_make_several_ledgers_at_once(tmp_path):
    def opened(number):
        ledger = Ledger(tmp_path / str(number) / "ledger.sqlite")
        ledger.close()
        return ledger.database.title

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(opened, range(24)))) == 24


@pytest.mark.parametrize(
    "url",
    [
        "mysql://x/y",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "http://SECRET@x",
        "",
        "postgresql+none://x/y",
    ],
)
def test_an_address_that_is_no_database_is_refused(url):
    with pytest.raises(InvalidParameter, match="REMOTE_UPSCALE_LEDGER_URL") as caught:
        Ledger(url)
    assert "SECRET" not in str(caught.value)


def test_an_sqlite_file_may_be_given_as_an_address(path):
    Ledger(f"sqlite:///{path}").close()
    assert path.exists()


def test_a_server_that_cannot_be_reached_is_told_without_its_password():
    with pytest.raises(StorageFailed, match="cannot be used") as caught:
        Ledger("postgresql://user:SECRET@127.0.0.1:9/none", patience=0.1)
    assert "REMOTE_UPSCALE_LEDGER_URL" in caught.value.hint
    assert "SECRET" not in str(caught.value)


def change(path, statement):
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.close()


def test_a_damaged_ledger_is_refused(path):
    path.parent.mkdir()
    path.write_bytes(b"This is a letter to my aunt, and not a database. " * 40)
    assert "not a database" in refuse(path)


def test_a_damaged_row_is_told(path, ledger):
    prepare(ledger)
    change(path, "UPDATE jobs SET parameters = '{'")
    with pytest.raises(StorageFailed, match="cannot be used"):
        ledger.jobs()


def test_a_locked_ledger_is_told(path, ledger):
    job = prepare(ledger)
    ledger.mark_submitting(job, link="f" * 64)
    database = sqlite3.connect(path)
    database.execute("BEGIN IMMEDIATE")
    assert "locked" in refuse(path, patience=0.05)
    database.close()


def test_an_id_that_cannot_be_recorded_is_not_lost(path):
    ledger = Ledger(path, patience=0.05)
    job = prepare(ledger)
    ledger.mark_submitting(job, link="f" * 64)
    database = sqlite3.connect(path)
    database.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFailed) as caught:
        ledger.mark_submitted(job, HANDLE)
    assert "r-1" in str(caught.value)
    database.close()
    ledger.mark_submitted(job, HANDLE)
    ledger.close()


@pytest.mark.parametrize("kind", ["file where the folder should be", "folder where the file should be"])
def test_an_unusable_home_is_told(tmp_path, kind):
    home = tmp_path / "home"
    if kind.startswith("file"):
        home.write_text("")
    else:
        (home / "ledger.sqlite").mkdir(parents=True)
    refuse(home / "ledger.sqlite")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_a_ledger_that_may_not_be_written_is_told(path):
    Ledger(path).close()
    program = (
        "import os, sys; from pathlib import Path\n"
        "from remote_upscale.api_clients.ledger import Ledger\n"
        "os.geteuid() == 0 and os.seteuid(65534)\n"
        "Ledger(Path(sys.argv[1]))"
    )
    path.parent.chmod(0o555)
    path.chmod(0o444)
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    path.parent.chmod(0o755)
    assert "StorageFailed" in done.stderr
    assert "cannot be used" in done.stderr
