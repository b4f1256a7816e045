"""What is in the result store, and what inputs were found to show."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from ..states import JobState
from .database import Database
from .schema import contents, jobs, results


class StoredResults:
    """The record of the result store: what is there, how large it is, and when it was last of use."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, sha256: str, bytes: int) -> None:  # noqa: A002
        """A result is there now."""
        with self._database.transaction(exclusive=True) as connection:
            if not _touch(connection, sha256):
                connection.execute(insert(results).values(sha256=sha256, bytes=bytes, used=_now()))

    def used(self, sha256: str) -> bool:
        """A result was of use; whether it is on record."""
        with self._database.transaction() as connection:
            return _touch(connection, sha256)

    def remove(self, sha256: str) -> None:
        """A result is not there any more."""
        with self._database.transaction() as connection:
            connection.execute(delete(results).where(results.c.sha256 == sha256))

    def all(self) -> set[str]:
        """Everything that is there."""
        with self._database.transaction(reading=True) as connection:
            return set(connection.scalars(select(results.c.sha256)))

    def undelivered(self) -> set[str]:
        """Results that were paid for and have not yet come to where they were meant to go."""
        waiting = select(jobs.c.result_sha256).where(jobs.c.state == JobState.STORED)
        with self._database.transaction(reading=True) as connection:
            return {str(sha256) for sha256 in connection.scalars(waiting)}

    def evict(self, limit: int, *, keep: str | None = None) -> list[str]:
        """Strike off what was unused for longest, until the rest has at most so many bytes.

        What was paid for and not yet delivered stays, whatever its size.

        Args:
            limit: bytes that may stay.
            keep: the digest of a result that stays as well.

        Returns:
            What to remove from the store.
        """
        waiting = select(jobs.c.result_sha256).where(
            jobs.c.state == JobState.STORED, jobs.c.result_sha256.is_not(None)
        )
        gone: list[str] = []
        with self._database.transaction(exclusive=True) as connection:
            excess = int(connection.scalar(select(func.sum(results.c.bytes))) or 0) - limit
            if excess <= 0:
                return gone
            evictable = results.c.sha256.not_in(waiting), results.c.sha256.is_distinct_from(keep)
            candidates = select(results).where(*evictable).order_by(results.c.used)
            for row in connection.execute(candidates).mappings():
                if excess <= 0:
                    break
                gone.append(row["sha256"])
                excess -= row["bytes"]
            connection.execute(delete(results).where(results.c.sha256.in_(gone)))
        return gone

    def content(self, file: str) -> str | None:
        """The digest of what a file shows, by that of its bytes, where it was taken before."""
        with self._database.transaction(reading=True) as connection:
            return connection.scalar(select(contents.c.content).where(contents.c.file == file))

    def remember_content(self, file: str, content: str) -> None:
        """Keep the digest of what a file shows."""
        known = select(contents.c.file).where(contents.c.file == file)
        with self._database.transaction(exclusive=True) as connection:
            if connection.scalar(known) is None:
                connection.execute(insert(contents).values(file=file, content=content, seen=_now()))

    def forget_contents(self, before: datetime) -> None:
        """Drop the digests of inputs that were taken before that time; they can be taken again."""
        with self._database.transaction() as connection:
            connection.execute(delete(contents).where(contents.c.seen < before))


def strike_off_unneeded(connection: Connection) -> None:
    """Take results off the record that no job refers to any more."""
    needed = select(jobs.c.result_sha256).where(jobs.c.result_sha256.is_not(None))
    connection.execute(delete(results).where(results.c.sha256.not_in(needed)))


def _touch(connection: Connection, sha256: str) -> bool:
    change = update(results).where(results.c.sha256 == sha256).values(used=_now())
    return connection.execute(change).rowcount == 1


def _now() -> datetime:
    return datetime.now(UTC)
