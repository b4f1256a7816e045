"""Telling whether the process that was driving a job still lives.

Each process holds a lock on a file of its own beside the ledger for as long as it lives. The operating system
drops the lock when the process ends, however it ends; unlike a process id, a lock cannot come to belong to
another process, and it means the same on every system.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _take(file: int, *, shared: bool) -> None:  # noqa: ARG001 (there are no shared locks)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: int, *, shared: bool) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


class Owner:
    """This process's mark on the jobs it drives.

    Args:
        folder: where the lock files are.

    Raises:
        OSError: the lock file cannot be made or locked.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.name = secrets.token_hex(10)
        self._path = folder / self.name
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if not _lock(self._file, shared=False):
            raise OSError(f"{self._path} cannot be locked")

    def release(self) -> None:
        """Give the mark up; from now on it counts as that of a process that has ended."""
        os.close(self._file)
        self._path.unlink(missing_ok=True)


def alive(folder: Path, name: str) -> bool:
    """Whether the process of this mark still lives. The lock file of one that does not is removed."""
    path = folder / name
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # another user's: not ours to judge
    try:
        if not _lock(file, shared=True):
            return True
    finally:
        os.close(file)
    path.unlink(missing_ok=True)
    return False


def _lock(file: int, *, shared: bool) -> bool:
    """Lock a file without waiting. Shared locks let two processes look at the same mark at once."""
    try:
        _take(file, shared=shared)
    except OSError:
        return False
    return True
