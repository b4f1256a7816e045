"""What a drive offers to SQLite, and how the ledger's file is kept on it.

A write-ahead log lets readers work beside a writer, but wants memory that processes share by way of a file.
Some network drives and mounts have none; there, SQLite's older rollback journal does.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ..files.durable import offers_sync

_NO_SHARED_MEMORY = {
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_SHMMAP,
}
_PRIMARY = 0xFF
"""The part of SQLite's error codes that says what kind of error it is."""
_PAUSE = 0.01
"""Seconds between two tries to open a new file that another process is just opening."""


@dataclass(frozen=True)
class Journal:
    """How a database file is kept.

    Attributes:
        ahead: with a write-ahead log; else with a rollback journal.
        synced: every commit is on the disk before it ends, which not every drive offers.
        patience: seconds to wait for other processes.
    """

    ahead: bool
    synced: bool
    patience: float

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Set a new connection up: a paid job's id must survive a power cut, where the drive lets it."""
        connection.isolation_level = None  # transactions are begun by the ledger, not by Python's driver
        if self.ahead:
            self._write_ahead(connection)
        connection.execute(f"PRAGMA synchronous={'FULL' if self.synced else 'OFF'}")

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        until = time.monotonic() + self.patience
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                # SQLite does not wait for another process that opens the same new file at the same moment.
                busy = error.sqlite_errorcode & _PRIMARY == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() >= until:
                    raise
            else:
                return
            time.sleep(_PAUSE)


def journal_for(file: Path, patience: float) -> Journal:
    """How a database is to be kept on its drive. Blocking.

    Args:
        file: the database, which is there, and may be empty.
        patience: seconds to wait for other processes.

    Raises:
        sqlite3.Error: it cannot be used, whichever way.
    """
    try:
        with closing(sqlite3.connect(file, timeout=patience)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # reads the file's own mode
            ahead = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode not in _NO_SHARED_MEMORY:
            raise
        _leave_write_ahead(file, patience)
        ahead = False
    return Journal(ahead or _offers_shared_memory(file.parent), offers_sync(file.parent), patience)


def _leave_write_ahead(file: Path, patience: float) -> None:
    """Turn a database that came from another drive into one with a rollback journal.

    Whoever is alone at it needs no shared memory.
    """
    with closing(sqlite3.connect(file, timeout=patience, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=DELETE")


def _offers_shared_memory(folder: Path) -> bool:
    """Find out with a database that nobody else uses: one that is used must not be tried on."""
    with TemporaryDirectory(dir=folder, prefix=".trial-", ignore_cleanup_errors=True) as trial:
        with closing(sqlite3.connect(Path(trial, "trial.sqlite"), isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=OFF")
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("CREATE TABLE trial (id INTEGER)")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in _NO_SHARED_MEMORY:
                    raise
                return False
        return True
