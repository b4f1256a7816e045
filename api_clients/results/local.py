"""The result store in a folder."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ..errors import StorageFailed
from ..files.atomic_write import discard, new_partial
from ..files.durable import copy_file, make_folders, sync_file, sync_folder
from .store import DamagedResult, ResultStore, StoredObject, writing

_FOLDER = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{64}")
_INCOMING = "incoming"
_BUFFER = 1 << 20


class LocalResults(ResultStore):
    """Results in a folder, each as ``ab/abcd…``. Any number of processes may use it at once.

    Args:
        folder: made when something is first put there, for this user alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        return str(self._folder)

    async def put(self, file: Path, sha256: str, *, move: bool = False) -> None:
        await asyncio.to_thread(self._put, file, sha256, move=move)

    async def get(self, sha256: str, into: Path, *, size: int | None = None) -> bool:
        return await asyncio.to_thread(self._get, sha256, into, size)

    def local_path(self, sha256: str, *, size: int | None = None) -> Path | None:
        path = self._path(sha256)
        there = _size(path)
        return None if there is None or size not in (None, there) else path

    async def remove(self, sha256: str) -> None:
        await asyncio.to_thread(self._remove, sha256)

    async def names(self) -> AsyncIterator[StoredObject]:
        for folder in await asyncio.to_thread(self._folders):
            for entry in await asyncio.to_thread(self._files, folder):
                yield entry

    def _put(self, file: Path, sha256: str, *, move: bool) -> None:
        path = self._path(sha256)
        with self._usable():
            make_folders(self._folder, 0o700)
            make_folders(path.parent)
            if not (move and _renamed(file, path)):
                if _size(path) == file.stat().st_size:
                    sync_file(path)  # whoever put it there may not have come so far
                else:
                    self._copy_in(file, path)
            sync_folder(path.parent)
            sync_folder(self._folder)

    def _copy_in(self, file: Path, path: Path) -> None:
        partial = new_partial(self._folder, _INCOMING)
        try:
            copy_file(file, partial)
            sync_file(partial)
            partial.replace(path)
        finally:
            discard(partial)

    def _get(self, sha256: str, into: Path, size: int | None) -> bool:
        with self._usable():
            try:
                found = _copy_out(self._path(sha256), into, size)
            except FileNotFoundError:
                return False
        if found == sha256:
            return True
        with suppress(StorageFailed):  # it will be noticed again
            self._remove(sha256)
        raise DamagedResult(f"{sha256} is damaged")

    def _remove(self, sha256: str) -> None:
        with self._usable():
            self._path(sha256).unlink(missing_ok=True)

    def _folders(self) -> list[Path]:
        with self._usable():
            try:
                return [path for path in self._folder.iterdir() if _FOLDER.fullmatch(path.name)]
            except FileNotFoundError:
                return []

    def _files(self, folder: Path) -> list[StoredObject]:
        found: list[StoredObject] = []
        with self._usable(), suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if _NAME.fullmatch(entry.name) and entry.name.startswith(folder.name) and entry.is_file():
                        status = entry.stat()
                        modified = datetime.fromtimestamp(status.st_mtime, UTC)
                        found.append(StoredObject(entry.name, status.st_size, modified))
        return found

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    @contextmanager
    def _usable(self) -> Generator[None]:
        """Turn what a disk can do to us into one clear error."""
        try:
            yield
        except OSError as error:
            raise StorageFailed(
                f"The result store {self._folder} cannot be used: {error.strerror or type(error).__name__}.",
                hint="Make room or make it writable, or set REMOTE_UPSCALE_HOME to another folder.",
            ) from None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _renamed(file: Path, path: Path) -> bool:
    """Take a file where it is on the same disk. It replaces what may be there, as it is whole."""
    sync_file(file)
    try:
        file.replace(path)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EACCES, errno.EPERM):
            return False
        raise
    return True


def _copy_out(source: Path, into: Path, size: int | None) -> str:
    """Copy a file; the SHA-256 of what was copied, or nothing where the size is wrong."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_BUFFER))
    with source.open("rb", buffering=0) as there:
        if size is not None and os.fstat(there.fileno()).st_size != size:
            return ""
        with writing(into):
            here = into.open("wb")
        with here:
            while count := there.readinto(buffer):
                digest.update(buffer[:count])
                with writing(into):
                    here.write(buffer[:count])
                    here.flush()
    return digest.hexdigest()
