"""A file on its way here, which any process can take up where another one left it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from ..errors import StorageFailed
from ..files.atomic_write import cannot_write
from ..files.durable import sync_open
from ..locks import FileLock, are_not_offered
from .validator import Validator

_VALIDATOR = ".version"
_LOCK = ".lock"
_WORTH_KEEPING = 1 << 20
_BUFFER = 1 << 20
_BINARY: int = getattr(os, "O_BINARY", 0)


class InUse(StorageFailed):
    """Another process, or another part of this one, is writing the file."""


class PartialFile:
    """What has arrived of a file, and which version of it that is.

    Three files: the data at ``path``; beside it its ``Validator`` (``.version``), which is on the disk before
    more than a MiB of the data is; and a lock (``.lock``). So a process that is killed leaves what another
    one goes on with, and no two ever write the same file. Data whose version is not known is of no use, and
    is dropped when the file is opened.

    All methods are blocking, quick but for the disk, and for one thread at a time. After ``close``,
    ``discard`` or ``take`` a file cannot be used any more; these three then do nothing.
    """

    def __init__(self, path: Path, file: FileIO, lock: FileLock | None, validator: Validator | None) -> None:
        self._path = path
        self._file = file
        self._lock = lock
        self._validator = validator
        self._saved = validator is not None
        self._size = os.fstat(file.fileno()).st_size
        self._digest = hashlib.sha256()
        self._hashed = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Take up what is there, or begin an empty one. Missing folders are made.

        Args:
            path: of the data; for this user alone, and it stays so.

        Raises:
            InUse: another process, or another part of this one, is writing it.
            StorageFailed: nothing can be written there.
        """
        with _usable(path):
            lock = _lock(path)
            try:
                validator = _read_validator(path)
                file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o600), "r+")
            except OSError:
                if lock is not None:
                    lock.release()
                raise
        partial = cls(path, file, lock, validator)
        partial._drop_what_is_of_no_use()
        return partial

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Of the data."""
        return self._path

    @property
    def size(self) -> int:
        """Bytes of the data so far."""
        return self._size

    @property
    def validator(self) -> Validator | None:
        """The version of the data, where it is known."""
        return self._validator

    def sha256(self) -> str:
        """The digest of the data so far, in hexadecimal. What was there before is read, once.

        Raises:
            StorageFailed: it cannot be read.
        """
        with _usable(self._path):
            self._catch_up()
        return self._digest.hexdigest()

    def write(self, *pieces: bytes) -> None:
        """Append to the data, and to its digest.

        Raises:
            StorageFailed: it cannot be written. ``size`` says what was.
        """
        with _usable(self._path):
            self._catch_up()
            if self._size + sum(map(len, pieces)) >= _WORTH_KEEPING:
                self._save_validator()
            self._file.seek(self._size)
            for piece in pieces:
                self._write(memoryview(piece))

    def restart(self, validator: Validator | None = None) -> None:
        """Drop the data and begin with another version.

        Args:
            validator: of what will be written; ``None`` where it could not be gone on with.

        Raises:
            StorageFailed: it cannot be done.
        """
        with _usable(self._path):
            _beside(self._path, _VALIDATOR).unlink(missing_ok=True)
            self._validator, self._saved = validator, False
            if self._size:
                self._cut(0)
                # The next version's validator may not reach the disk before this does.
                sync_open(self._file.fileno())

    def cut(self, size: int) -> None:
        """Drop the data after ``size`` bytes.

        Raises:
            StorageFailed: it cannot be done.
        """
        with _usable(self._path):
            if size < self._size:
                self._cut(size)

    def close(self) -> None:
        """Stop, and keep the data and its version for whoever opens it next. Never fails."""
        if not self._file.closed:
            with suppress(OSError):
                if self._size:
                    self._save_validator()
            self._let_go()

    def discard(self) -> None:
        """Stop, and remove everything. Never fails."""
        self._end(data=False)

    def take(self) -> Path:
        """Stop, and leave the data, without its version, to the caller.

        Returns:
            Its path.
        """
        self._end(data=True)
        return self._path

    def _end(self, *, data: bool) -> None:
        if self._file.closed:
            return
        self._file.close()
        with suppress(OSError):
            _beside(self._path, _VALIDATOR).unlink(missing_ok=True)
        if not data:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        self._let_go()

    def _let_go(self) -> None:
        self._file.close()
        if self._lock is not None:
            self._lock.release()

    def _drop_what_is_of_no_use(self) -> None:
        total = self._validator.total if self._validator else 0
        if self._size and total is not None and self._size > total:
            try:
                self.restart()
            except StorageFailed:
                self._let_go()
                raise

    def _write(self, rest: memoryview) -> None:
        while rest:
            count = self._file.write(rest)
            self._digest.update(rest[:count])
            self._size += count
            self._hashed += count
            rest = rest[count:]

    def _catch_up(self) -> None:
        """Read what was there before into the digest."""
        if self._hashed == self._size:
            return
        self._file.seek(self._hashed)
        buffer = memoryview(bytearray(min(_BUFFER, self._size - self._hashed)))
        while self._hashed < self._size:
            count = self._file.readinto(buffer[: self._size - self._hashed])
            if not count:
                raise OSError("the file became shorter")
            self._digest.update(buffer[:count])
            self._hashed += count

    def _cut(self, size: int) -> None:
        self._file.truncate(size)
        self._size = size
        if self._hashed > size:
            self._digest, self._hashed = hashlib.sha256(), 0

    def _save_validator(self) -> None:
        """Write the version durably and in one step, before the data that it is of."""
        if self._saved or self._validator is None:
            return
        place = _beside(self._path, _VALIDATOR)
        new = _beside(place, ".new")  # nobody else writes it, as the lock is ours
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(self._validator.to_json())
            file.flush()
            sync_open(file.fileno())
        new.replace(place)
        self._saved = True


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _lock(path: Path) -> FileLock | None:
    """The lock; ``None`` where the drive has none, and the ledger alone keeps others from the job."""
    try:
        lock = FileLock.try_take(_beside(path, _LOCK))
    except OSError as error:
        if not are_not_offered(error):
            raise
        return None
    if lock is None:
        raise InUse(
            f"The result is being fetched already: {path} is in use.", hint="Wait until that is done."
        )
    return lock


def _read_validator(path: Path) -> Validator | None:
    try:
        return Validator.from_json(_beside(path, _VALIDATOR).read_bytes())
    except FileNotFoundError:
        return None


@contextmanager
def _usable(path: Path) -> Generator[None]:
    """Turn what a disk can do to us into one clear error."""
    try:
        yield
    except (OSError, ValueError) as error:
        found = cannot_write(path, error)
        raise StorageFailed(found.message, hint=found.hint) from None
