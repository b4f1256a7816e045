"""Telling whether the process that owns a job still lives.

Each process holds a lease for as long as it lives: a lock of its own, whose name its jobs bear as their
owner. Whoever keeps the lock drops it when the process ends, however it ends; unlike a process id, a lock
cannot come to belong to another process.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path

from sqlalchemy import Connection

from ..locks import NO_LOCKS, lock


class OwnerLease(ABC):
    """This process's lease, and what there is to know of those of others.

    Attributes:
        name: what its jobs have as their owner.
    """

    def __init__(self) -> None:
        host = re.sub(r"[^A-Za-z0-9]+", "", socket.gethostname())[:14] or "host"
        self.name = f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
        self._taking = threading.Lock()

    @abstractmethod
    def take(self) -> str:
        """Take the lease, or see that it is still held, and return its name.

        Raises:
            OSError: it cannot be had; likewise ``SQLAlchemyError``.
        """

    @abstractmethod
    def alive(self, name: str, connection: Connection) -> bool:
        """Whether the process of that lease still lives."""

    @abstractmethod
    def strike_off(self, names: Collection[str], connection: Connection) -> None:
        """Remove what is left of the leases of processes that have ended."""

    @abstractmethod
    def release(self) -> None:
        """Give the lease up; from now on this process counts as one that has ended."""


class FileLease(OwnerLease):
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
                    raise OSError(NO_LOCKS)
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
        return False

    def strike_off(self, names: Collection[str], connection: Connection) -> None:
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
            (self._folder / self.name).unlink(missing_ok=True)
