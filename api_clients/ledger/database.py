"""Opening the ledger's database, and its transactions."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from ..errors import InvalidParameter, StorageFailed
from ..locks import NO_LOCKS
from ..text import in_their_words
from .drive import Journal, journal_for
from .errors import LedgerMisuse
from .migration import bring_up_to_date

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_DRIVER = "postgresql+psycopg"
_LOCK = 0x7570_7363_616C_65  # any number of ours
_CONNECT_SECONDS = 10
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A machine that lost its power is noticed after a minute, by either side."""
_UNANSWERED_MS = 60_000
"""Milliseconds after which a connection counts as broken on which what was sent was not acknowledged."""


class Database:
    """The ledger's database. Transactions are short, and on disk before they end.

    Args:
        place: the SQLite file, or the SQLAlchemy URL of an SQLite file or a PostgreSQL database.
        patience: seconds to wait for other processes that are writing, or for a server that is restarting.

    Attributes:
        title: what to call it to people, without a password.
        file: the SQLite file; ``None`` for a server.
        engine: SQLAlchemy's.

    Raises:
        InvalidParameter: the address is none of a database that can hold the ledger.
        StorageFailed: it cannot be read or written, or a newer release made it.
    """

    def __init__(self, place: Path | str, *, patience: float = 30.0) -> None:
        url = _url(place)
        self.file = Path(url.database or "") if url.get_backend_name() == SQLITE else None
        self.title = str(self.file or url.render_as_string(hide_password=True))
        self._patience = patience
        self._lock = threading.Lock()
        self._closed = False
        self._inode: int | None = None
        with self.usable():
            self.engine = _sqlite(self.file, patience) if self.file else _postgresql(url, patience)
        try:
            with self.transaction(exclusive=True) as connection:
                bring_up_to_date(connection, self.title)
            if self.file is not None:
                self._inode = self.file.stat().st_ino
        except BaseException:
            self.engine.dispose()
            raise

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._closed = True
            self.engine.dispose()

    @contextmanager
    def transaction(self, *, exclusive: bool = False, reading: bool = False) -> Generator[Connection]:
        """One transaction, of one thread at a time.

        Args:
            exclusive: no other process is in an exclusive transaction meanwhile.
            reading: nothing will be written.

        Raises:
            StorageFailed: the database cannot be used.
        """
        with self._lock, self.usable():
            if self._closed:
                raise LedgerMisuse("The ledger is closed.")
            self._check_there()
            with self._connect(reading=reading) as connection, connection.begin():
                if exclusive and self.file is None:  # SQLite has one writer at a time anyway
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                yield connection

    def _check_there(self) -> None:
        """An open file that was removed takes everything and keeps nothing."""
        if self._inode is not None and self.file is not None:
            found = self.file.stat().st_ino if self.file.exists() else None
            if found != self._inode:
                raise OSError("it was removed or replaced while it was in use")

    def _connect(self, *, reading: bool) -> Connection:
        """A connection that works; a server that is just restarting is waited for."""
        until = time.monotonic() + (0 if self.file else self._patience)
        while True:
            try:
                return self.engine.connect().execution_options(reading=reading)
            except DBAPIError:
                if time.monotonic() >= until:
                    raise
            time.sleep(min(1.0, self._patience / 10))

    @contextmanager
    def usable(self) -> Generator[None]:
        """Turn what a database or a disk can do to us into one clear error, ``StorageFailed``."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError, ValueError) as error:
            cause = getattr(error, "orig", None) or error
            if isinstance(cause, OSError):
                cause = cause.strerror or cause
            raise StorageFailed(
                f"The job ledger {self.title} cannot be used{in_their_words(cause)}",
                hint=self._advice(str(cause)),
            ) from None

    def _advice(self, cause: str) -> str:
        if self.file is None:
            return "Check REMOTE_UPSCALE_LEDGER_URL, and that the server runs and lets this user make tables."
        if any(word in cause for word in ("not a database", "malformed", "corrupt")):
            return (
                f"Move {self.file} away to begin a new one, or set REMOTE_UPSCALE_HOME to another folder. "
                "What was paid for stands in the providers' own histories."
            )
        if "full" in cause or "No space" in cause:
            return "Free some space, or set REMOTE_UPSCALE_HOME to a folder on another disk."
        if any(word in cause for word in ("I/O error", "locking protocol", NO_LOCKS)):
            return (
                "The drive, perhaps a network or cloud drive, does not offer what a database needs. Set "
                "REMOTE_UPSCALE_HOME to a folder on a local drive."
            )
        return "Make it writable, or set REMOTE_UPSCALE_HOME to another folder."


def _url(place: Path | str) -> URL:
    if isinstance(place, Path):
        return URL.create(SQLITE, database=str(place))
    try:
        url = make_url(place)
        kind = url.get_backend_name()
    except ArgumentError:
        kind, url = "", URL.create(SQLITE)
    if kind == POSTGRESQL:
        return url if "+" in url.drivername else url.set(drivername=_DRIVER)
    if kind == SQLITE and url.database and url.database != ":memory:":
        return url
    raise _no_address()


def _no_address() -> InvalidParameter:
    return InvalidParameter(
        "REMOTE_UPSCALE_LEDGER_URL is not the address of a database that can hold the job ledger.",
        hint="Set it to postgresql+psycopg://user:password@host/database, or to sqlite:////path/to/file.",
    )


def _sqlite(file: Path, patience: float) -> Engine:
    _make_private(file)
    engine = create_engine(URL.create(SQLITE, database=str(file)), connect_args={"timeout": patience})
    event.listen(engine, "connect", partial(_prepare_sqlite, journal_for(file, patience)))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    """Make the file if there is none. One that is there must not be opened.

    Closing it again would drop all locks that this process has on it, through other connections too; the next
    process that ends its work on it would then take the journal away under their feet.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare_sqlite(journal: Journal, connection: Any, _record: object) -> None:
    journal.prepare(connection)


def _begin_sqlite(connection: Connection) -> None:
    """Wait for other writers at once: a transaction that turns from reading to writing cannot."""
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _postgresql(url: URL, patience: float) -> Engine:
    timeouts = f"-c lock_timeout={round(patience * 1000)} -c statement_timeout={round(patience * 2000)}"
    keepalive = " ".join(f"-c tcp_{name}={value}" for name, value in _KEEPALIVE.items())
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": _CONNECT_SECONDS,
                "application_name": "remote-upscale",
                "options": f"{timeouts} {keepalive}",
                "tcp_user_timeout": _UNANSWERED_MS,
                **_KEEPALIVE,
            },
        )
    except NoSuchModuleError:
        raise _no_address() from None
    except ImportError:
        raise StorageFailed(
            f"The database driver of {url.drivername} is not installed.",
            hint='Install it: pip install "psycopg[binary]".',
        ) from None
