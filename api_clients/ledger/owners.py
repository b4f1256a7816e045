"""Telling whether the process that was driving a job still lives.

Each process holds a lock of its own for as long as it lives, and its jobs bear the lock's name. Whoever keeps
the lock drops it when the process ends, however it ends; unlike a process id, a lock cannot come to belong to
another process.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from ..locks import lock


class Marks(ABC):
    """This process's mark on the jobs it drives, and those of others."""

    def __init__(self) -> None:
        host = re.sub(r"[^A-Za-z0-9]+", "", socket.gethostname())[:14] or "host"
        self.name = f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
        self._taking = threading.Lock()

    @abstractmethod
    def take(self) -> str:
        """This process's mark, valid from now on."""

    @abstractmethod
    def alive(self, name: str, connection: Connection) -> bool:
        """Whether the process of this mark still lives."""

    @abstractmethod
    def release(self) -> None:
        """Give the mark up; from now on it counts as that of a process that has ended."""


class FileMarks(Marks):
    """Locked files, for processes of one machine. The operating system keeps the locks.

    Args:
        folder: where the files are.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._file: int | None = None

    def take(self) -> str:
        with self._taking:
            if self._file is None:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                path = self._folder / self.name
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                if not lock(self._file, shared=False):
                    raise OSError(f"{path} cannot be locked")
        return self.name

    def alive(self, name: str, connection: Connection) -> bool:
        if name == self.name:
            return self._file is not None
        path = self._folder / name
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # another user's: not ours to judge
        try:
            if not lock(file, shared=True):
                return True
        finally:
            os.close(file)
        path.unlink(missing_ok=True)
        return False

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
            (self._folder / self.name).unlink(missing_ok=True)


class ServerMarks(Marks):
    """PostgreSQL's advisory locks, for processes of many machines. The server drops them with the connection.

    Args:
        engine: of the ledger's database; one of its connections is kept for the lock.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._connection: Connection | None = None

    def take(self) -> str:
        with self._taking:
            if not self._holds():
                self._connection = self._lock()
        return self.name

    def _lock(self) -> Connection:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            connection.execute(select(func.pg_advisory_lock(_key(self.name))))
        except SQLAlchemyError:
            connection.close()
            raise
        return connection

    def _holds(self) -> bool:
        """Whether the lock is still held: it goes when the server restarts or the network breaks."""
        if self._connection is None:
            return False
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            with suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = None
            return False
        return True

    def alive(self, name: str, connection: Connection) -> bool:
        key = _key(name)
        if not connection.scalar(select(func.pg_try_advisory_lock_shared(key))):
            return True
        connection.execute(select(func.pg_advisory_unlock_shared(key)))
        return False

    def release(self) -> None:
        with self._taking, suppress(SQLAlchemyError):
            if self._connection is not None:
                self._connection.detach()  # closed for good: back in the pool, it would keep the lock
                self._connection.close()
            self._connection = None


def _key(name: str) -> int:
    """The number of a mark's lock, of 64 bits with sign."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
