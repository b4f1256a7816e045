"""Locks on files. The operating system drops them when the process ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

if sys.platform == "win32":
    import msvcrt

    def _take(file: int, *, shared: bool) -> None:  # noqa: ARG001 (there are no shared locks)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: int, *, shared: bool) -> None:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


NO_LOCKS = "its drive offers no locks on files"
"""The words for a place where files cannot be locked."""
_HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


_NOT_OFFERED = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOLCK})


def are_not_offered(error: OSError) -> bool:
    """Whether a lock could not be had because the drive has none."""
    return error.errno in _NOT_OFFERED


def lock(file: int, *, shared: bool) -> bool:
    """Lock an open file without waiting, and say whether that worked. Closing it unlocks it."""
    try:
        _take(file, shared=shared)
    except OSError:
        return False
    return True


class FileLock:
    """An exclusive lock that has a file of its own, which is there only while somebody holds or wants it.

    It holds between threads, too, and between two locks of one thread.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    @classmethod
    def try_take(cls, path: Path) -> Self | None:
        """The lock, or ``None`` where somebody has it. Missing folders are made. Blocking, but never waits.

        Args:
            path: its file, for this user alone.

        Raises:
            OSError: there can be no locks in that place.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb", buffering=0)
            try:
                _take(file.fileno(), shared=False)
            except OSError as error:
                file.close()
                if error.errno in _HELD:
                    return None
                raise
            if _is_at(path, file):
                return cls(path, file)
            file.close()  # whoever had it before removed the file meanwhile

    @classmethod
    def remove_left_behind(cls, folder: Path) -> None:
        """Remove the files of locks that nobody holds, as killed processes leave them. Never fails."""
        for path in folder.glob("*.lock"):
            with suppress(OSError):
                lock = cls.try_take(path)
                if lock is not None:
                    lock.release()

    def release(self) -> None:
        """Give it up. Blocking; never fails."""
        with suppress(OSError):
            self._path.unlink()  # while it is held, so that nobody locks a file that is removed afterwards
        self._file.close()
        if os.name == "nt":  # an open file is not removed there; one that somebody else has opened stays
            with suppress(OSError):
                self._path.unlink()


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
