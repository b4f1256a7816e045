"""In a folder, a result takes the place of an earlier result of its input, and of no other file."""

from __future__ import annotations

import asyncio
import filecmp
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from ..engine import Engine
from ..ledger import JobRow, JobState
from ..ledger.links import bare_source
from .naming import Source, name_outputs, names_in, same_file


async def name_in_folder(
    engine: Engine, sources: Sequence[Source], folder: str, suffix: str
) -> tuple[list[Path], list[str]]:
    """The file for each input's result in a folder, where files that are there already keep their places.

    The ledger tells which of them are earlier results of the same input: those are replaced.

    Returns:
        The files, and for each a sentence about why it is not the usual one; empty where it is.

    Raises:
        StorageFailed: the ledger cannot be used.
    """
    there = await asyncio.to_thread(_existing, sources, folder, suffix)
    usual = await asyncio.to_thread(name_outputs, sources, folder, suffix)
    if not there:
        return usual, [""] * len(usual)
    ledger, wanted = engine.ledger, [_recorded(source) for source in sources]
    rows = await ledger.call(ledger.sync.with_results, wanted, set(there.values()))
    outputs = await asyncio.to_thread(name_outputs, sources, folder, suffix, _Earlier(there, rows).may_take)
    return outputs, [_note(*names) for names in zip(usual, outputs, strict=True)]


@dataclass(frozen=True)
class _Earlier:
    """What is in the folder already.

    Attributes:
        there: SHA-256 of the files, by what ``same_file`` says; empty for what is no file.
        rows: the jobs of the inputs, and those whose results are among the files.
    """

    there: Mapping[str, str]
    rows: Sequence[JobRow]

    def may_take(self, source: Source, path: Path) -> bool:
        """Whether nothing is at this place, or an earlier result of the same input."""
        if not os.path.lexists(path):
            return True
        place = same_file(path)
        return any(self._put(row, place) and _is_of(row, source) for row in self.rows)

    def _put(self, row: JobRow, place: str) -> bool:
        """Whether a job's result is what is at a place, or was put there, whatever was done to it since."""
        if row.result_sha256 == self.there.get(place):
            return True
        places = (row.destination, row.result_path) if row.state is JobState.COMPLETED else ()
        return any(path is not None and same_file(Path(path)) == place for path in places)


def _existing(sources: Sequence[Source], folder: str, suffix: str) -> dict[str, str]:
    """The digests of all files in the way; empty for what cannot be read."""
    path = Path(folder).expanduser()
    found: dict[str, str] = {}
    for source in sources:
        for name in takewhile(os.path.lexists, names_in(path, source, suffix)):
            place = same_file(name)
            if place not in found:
                found[place] = _digest(name)
    return found


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _is_of(row: JobRow, source: Source) -> bool:
    """Whether a job was ordered for this input, or for a copy of it that is still there."""
    if row.source == bare_source(_recorded(source)):
        return True
    try:
        return isinstance(source.where, Path) and filecmp.cmp(row.source, source.where, shallow=False)
    except OSError:
        return False


def _recorded(source: Source) -> str:
    """An input as the ledger records it."""
    return source.where if isinstance(source.where, str) else str(source.where.absolute())


def _note(usual: Path, output: Path) -> str:
    if usual == output:
        return ""
    return (
        f"{usual.name} is there already and is no earlier result of this input: the new one is {output.name}."
    )
