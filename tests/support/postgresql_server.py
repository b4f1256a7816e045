"""A real PostgreSQL for tests: one server for the session, an empty database for each test.

`tests/conftest.py` names this file as a plugin, so that every test can ask for ``postgresql_url``.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

_DEBIAN = Path("/usr/lib/postgresql")
_OWNER = "tests"
_PATIENCE = 30.0
"""Seconds for the server to start, and to stop, on a machine that stalls; it takes about one."""


class NotInstalled(Exception):
    """There is no PostgreSQL server on this machine; the message says how to get one."""


class PostgreSQL:
    """A running server.

    Args:
        command: that runs it.
        folder: where it is, and its log.
        user: who runs it.
        url: SQLAlchemy URL of its maintenance database, with the password.

    Attributes:
        url: the same.
    """

    def __init__(self, command: list[str | Path], folder: Path, user: str | None, url: str) -> None:
        self.url = url
        self._command = command
        self._folder = folder
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it
                **_as(self._user),
            )
        _wait_until_it_answers(self._process, self.url, self._folder / "log")

    def stop(self) -> None:
        """Stop it: clients are disconnected, and none can connect."""
        if self._process is not None:
            _stop(self._process)
            self._process = None

    def create(self) -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        name = f"test_{secrets.token_hex(6)}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def drop(self, url: str) -> None:
        """Remove a database, also while something is still connected to it."""
        name = urlsplit(url).path.removeprefix("/")
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(plain(self.url), autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgresql() -> Generator[PostgreSQL]:
    """The session's server, started when a test first asks for it."""
    try:
        programs = find_programs()
    except NotInstalled as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    with serve(programs) as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Generator[str]:
    """An empty database of the test's own, as an SQLAlchemy URL."""
    url = postgresql.create()
    yield url
    postgresql.drop(url)


def plain(url: str) -> str:
    """An SQLAlchemy URL as psycopg itself takes it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def find_programs() -> Path:
    """The folder of the server's programs: that of PATH, else the newest of Debian's.

    Raises:
        NotInstalled: there is none.
    """
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    debian = [path.parent for path in _DEBIAN.glob("*/bin/initdb")]
    folders += sorted(debian, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], reverse=True)
    for folder in folders:
        if (folder / "postgres").exists():
            return folder
    raise NotInstalled("No PostgreSQL server is installed: `apt-get install postgresql` brings one.")


@contextmanager
def serve(programs: Path) -> Generator[PostgreSQL]:
    """Run a server on loopback, as its own user where this process is root, and remove it at the end."""
    user = _server_user()
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=_place(user)))
    try:
        password = secrets.token_hex(16)
        (folder / "password").write_text(password)
        _give(folder, user)
        _make_cluster(programs, folder, user)
        server = _server(programs, folder, user, password)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_cluster(programs: Path, folder: Path, user: str | None) -> None:
    command = [programs / "initdb", "--pgdata", folder / "data", "--username", _OWNER]
    command += ["--auth", "scram-sha-256", "--pwfile", folder / "password"]
    command += ["--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"]
    done = subprocess.run(
        command,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **_as(user),
    )
    if done.returncode:
        raise RuntimeError(f"initdb failed:\n{done.stdout}")


def _server(programs: Path, folder: Path, user: str | None, password: str) -> PostgreSQL:
    """The server of a cluster; it is still to be started."""
    port = _free_port()
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": folder,
        "fsync": "off",  # what is in here need not survive the machine
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "max_connections": 200,
        "shared_buffers": "32MB",
    }
    command = [programs / "postgres", "-D", folder / "data"]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    url = f"postgresql+psycopg://{_OWNER}:{password}@127.0.0.1:{port}/postgres"
    return PostgreSQL(command, folder, user, url)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            psycopg.connect(plain(url), connect_timeout=5).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{log.read_text()}") from None
            time.sleep(0.02)
        else:
            return


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: clients are disconnected
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root; ``None`` for anybody else, who runs it as himself."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _as(user: str | None) -> dict[str, object]:
    """Arguments for ``subprocess`` that run a program as that user."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _give(folder: Path, user: str | None) -> None:
    if user is None:
        return
    entry = pwd.getpwnam(user)
    for path in (folder, *folder.iterdir()):
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _place(user: str | None) -> Path:
    """A folder that the server's user can get to; pytest's are closed, and too long for a socket."""
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):
        if user is None or all(
            path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.resolve().parents)
        ):
            return folder
    raise RuntimeError("No temporary folder can be reached by other users: set TMPDIR to one that can.")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
