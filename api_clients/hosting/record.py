"""A small private file of links that still work, so that the same bytes are not uploaded by every process."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import InvalidInput
from ..files.atomic_write import create_partial, discard
from ..json_values import as_object
from .hosted import Hosted

_MOST_ENTRIES = 1000


class Record:
    """The links, by where they are and what they hold. Methods are blocking.

    A file that is damaged or cannot be written is as good as none: the only cost is another upload. Two
    processes that write at once lose one entry at worst, never the file.

    Args:
        path: only this user can read it, as whoever has a link can read what it leads to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, place: str, name: str, way: str, until: float) -> Hosted | None:
        """A link that works until that Unix time, if there is one."""
        entry = as_object(self._load().get(_key(place, name)))
        url, expires = entry.get("url"), entry.get("expires")
        if not isinstance(url, str) or not isinstance(expires, (int, float)) or expires < until:
            return None
        return Hosted(url, float(expires), way)

    def add(self, place: str, name: str, hosted: Hosted) -> None:
        """Keep a link that has an end, and drop those that have ended."""
        self._save(self._load() | {_key(place, name): {"url": hosted.url, "expires": hosted.expires}})

    def remove(self, place: str, name: str) -> None:
        """Forget a link that does not work after all."""
        entries = self._load()
        if entries.pop(_key(place, name), None) is not None:
            self._save(entries)

    def _load(self) -> dict[str, Any]:
        try:
            return as_object(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, RecursionError):
            return {}

    def _save(self, entries: dict[str, Any]) -> None:
        alive = {key: entry for key, entry in entries.items() if _end(entry) > time.time()}
        latest = sorted(alive, key=lambda key: _end(alive[key]))[-_MOST_ENTRIES:]
        with suppress(OSError, InvalidInput):
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
