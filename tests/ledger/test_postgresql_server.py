"""The PostgreSQL that the tests get is a real one, and every test's database is its own."""

import os
import subprocess
import sys
from pathlib import Path

import postgresql_server
import psycopg
import pytest
from postgresql_server import plain
from sqlalchemy import create_engine, text


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_empty_database_of_its_own(postgresql_url, turn):
    engine = create_engine(postgresql_url)
    with engine.begin() as database:
        assert database.scalar(text("SELECT version()")).startswith("PostgreSQL ")
        tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        assert database.scalar(text(tables)) == 0
        database.execute(text("CREATE TABLE left_behind (turn integer)"))
    engine.dispose()


def test_databases_do_not_see_each_other(postgresql, postgresql_url):
    other = postgresql.create()
    with psycopg.connect(plain(postgresql_url), autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (number integer)")
    with psycopg.connect(plain(other)) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM mine")
    postgresql.drop(other)


def test_a_database_goes_even_while_something_is_connected(postgresql):
    url = postgresql.create()
    connection = psycopg.connect(plain(url))
    postgresql.drop(url)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(plain(url))


def test_a_server_is_gone_after_something_failed():
    """One of its own, as the session's is needed later on."""
    running = postgresql_server.serve(postgresql_server.find_programs())
    url = running.__enter__().url
    with psycopg.connect(plain(url)) as connection:
        (folder,) = connection.execute("SHOW data_directory").fetchone()
    assert not running.__exit__(ZeroDivisionError, ZeroDivisionError(), None), "the failure goes on its way"
    assert not Path(folder).parent.exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(plain(url))


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_a_missing_server_is_skipped_but_not_in_ci(tmp_path, ci, outcome):
    (tmp_path / "test_it.py").write_text("def test_it(postgresql_url): pass\n")
    support = Path(postgresql_server.__file__).parent
    program = (
        "import pathlib, sys, pytest, postgresql_server\n"
        "postgresql_server._DEBIAN = pathlib.Path('/nonexistent')\n"
        "words = ['-p', 'postgresql_server', '-rs', '--rootdir', '.', '-c', '/dev/null', '.']\n"
        "sys.exit(pytest.main(words))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(support), "PATH": "/nonexistent", "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in done.stdout
    assert "apt-get install postgresql" in done.stdout
