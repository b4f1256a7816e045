"""What a result store is."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import StorageFailed
from ..files.atomic_write import cannot_write
from ..files.scratch import scratch_place

_TEST = b"Can this be written and read?"


class DamagedResult(Exception):
    """What was stored under a digest has another one. It has been removed from the store."""


@dataclass(frozen=True)
class StoredObject:
    """A file in the store.

    Attributes:
        sha256: its name, and what its bytes should have.
        bytes: its length.
        modified: when it was put there, UTC.
    """

    sha256: str
    bytes: int
    modified: datetime


class ResultStore(ABC):
    """Result files by the SHA-256 of their bytes. Whoever reads one reads all of it or nothing."""

    @property
    @abstractmethod
    def place(self) -> str:
        """What to call it to people."""

    @abstractmethod
    async def put(self, file: Path, sha256: str, *, move: bool = False) -> None:
        """Store a file, so that it is there after a power cut when this returns.

        Args:
            file: must not change meanwhile.
            sha256: its digest.
            move: the file is not needed any more: the store may take it instead of copying it.

        Raises:
            StorageFailed: it cannot be stored; the file is where it was.
        """

    @abstractmethod
    async def get(self, sha256: str, into: Path, *, size: int | None = None) -> bool:
        """Write a stored file into an existing one, and see on the way that it is the right one.

        Args:
            sha256: its digest.
            into: the file; it holds nothing of use where this does not return ``True``.
            size: its length in bytes, where that is known.

        Returns:
            Whether it is there.

        Raises:
            DamagedResult: what is there is something else; it was removed.
            StorageFailed: the store cannot be used, or ``into`` cannot be written.
        """

    @abstractmethod
    def local_path(self, sha256: str, *, size: int | None = None) -> Path | None:
        """The stored file itself, to be read only; ``None`` where it is not here, or not of that size.

        Blocking: one look at the folder. Nothing is verified.
        """

    @abstractmethod
    async def remove(self, sha256: str) -> None:
        """Remove a file; one that is not there is fine.

        Raises:
            StorageFailed: the store cannot be used.
        """

    @abstractmethod
    def names(self) -> AsyncIterator[StoredObject]:
        """All files. What bears no digest as its name is not ours, and left out.

        Raises:
            StorageFailed: the store cannot be used.
        """

    async def check(self, home: Path | None = None) -> None:
        """See that something can be written, read and removed.

        Args:
            home: the home folder, which does where the system has no folder for temporary files.

        Raises:
            StorageFailed: it cannot.
        """
        sha256 = hashlib.sha256(_TEST).hexdigest()
        with TemporaryDirectory(dir=home and scratch_place(home)) as folder:
            sent, back = Path(folder, "sent"), Path(folder, "back")
            for file in (sent, back):
                file.write_bytes(_TEST)
            await self.put(sent, sha256)
            try:
                found = await self.get(sha256, back, size=len(_TEST))
            except DamagedResult:
                found = False
            if not found:
                raise StorageFailed(
                    f"What was stored in {self.place} cannot be read back.",
                    hint="Choose another REMOTE_UPSCALE_RESULTS_URL.",
                )
            await self.remove(sha256)


@contextmanager
def writing(into: Path) -> Generator[None]:
    """Tell a file that cannot be written from a store that cannot be read."""
    try:
        yield
    except OSError as error:
        raise cannot_write(into, error) from None
