"""A small private file of links that still work, so that the same bytes are not uploaded by every process."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import RemoteUpscaleError
from ..files.atomic_write import create_partial, discard
from ..json_values import as_object
from ..locks import FileLock
from .hosted import Hosted

_MOST_ENTRIES = 1000
_PATIENCE = 10  # seconds; whoever has the lock needs it for a few milliseconds
_LOOK_AGAIN = 0.005


class Record:
    """The links, by where they are and what they hold. Methods are blocking.

    A file that is damaged or cannot be written is as good as none: the only cost is another upload. Threads
    and processes that write at once wait for each other, so that no link is lost.

    Args:
        path: only this user can read it, as whoever has a link can read what it leads to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(f"{path.name}.lock")

    def find(self, place: str, name: str, way: str, until: float) -> Hosted | None:
        """A link that works until that Unix time, if there is one."""
        entry = as_object(self._load().get(_key(place, name)))
        url, expires = entry.get("url"), entry.get("expires")
        if not isinstance(url, str) or not isinstance(expires, (int, float)) or expires < until:
            return None
        return Hosted(url, float(expires), way)

    def add(self, place: str, name: str, hosted: Hosted) -> None:
        """Keep a link that has an end, and drop those that have ended."""
        with self._alone():
            self._save(self._load() | {_key(place, name): {"url": hosted.url, "expires": hosted.expires}})

    def remove(self, place: str, name: str) -> None:
        """Forget a link that does not work after all."""
        with self._alone():
            entries = self._load()
            if entries.pop(_key(place, name), None) is not None:
                self._save(entries)

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Keep everyone else from writing. Where there can be no locks, or one is stuck, do without."""
        lock = None
        until = time.monotonic() + _PATIENCE
        with suppress(OSError):
            while (lock := FileLock.try_take(self._lock)) is None and time.monotonic() < until:
                time.sleep(_LOOK_AGAIN)
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    def _load(self) -> dict[str, Any]:
        try:
            return as_object(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, RecursionError):
            return {}

    def _save(self, entries: dict[str, Any]) -> None:
        alive = {key: entry for key, entry in entries.items() if _end(entry) > time.time()}
        latest = sorted(alive, key=lambda key: _end(alive[key]))[-_MOST_ENTRIES:]
        with suppress(OSError, RemoteUpscaleError):
            partial = create_partial(self._path)  # for this user alone, and it stays so
            try:
                partial.write_text(json.dumps({key: alive[key] for key in latest}), "utf-8")
                partial.replace(self._path)
            finally:
                discard(partial)


def _key(place: str, name: str) -> str:
    return hashlib.sha256(f"{place}\n{name}".encode()).hexdigest()


def _end(entry: object) -> float:
    expires = as_object(entry).get("expires")
    return float(expires) if isinstance(expires, (int, float)) else 0.0
