"""Leases for processes of many machines: advisory locks of PostgreSQL.

The server drops a lock with its connection: when the process ends, but also when the server restarts or the
network breaks while the process lives. So a thread of the process looks every few seconds whether the lock
is still there, and takes it again; and after a restart, which shows in the table ``leases``, everybody gives
its owner the time to do so. Should that fail, another process takes the jobs over, and the ledger refuses
what the former owner still wants to write.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, DateTime, Engine, delete, func, insert, literal, select
from sqlalchemy.exc import SQLAlchemyError

from .leases import OwnerLease
from .schema import leases

_BEAT = 3.0
"""Seconds between two looks whether the lock is still there."""
_GRACE = timedelta(seconds=30)
"""How long after a restart of the server the owners of before have to take their locks again."""
_STARTED = func.pg_postmaster_start_time(type_=DateTime(timezone=True))
_SINCE_START = func.now() - _STARTED


class ServerLease(OwnerLease):
    """A lease at a PostgreSQL server.

    Args:
        engine: of the ledger's database; one of its connections is kept for the lock.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._connection: Connection | None = None
        self._keeper: threading.Thread | None = None
        self._released = threading.Event()

    def take(self) -> str:
        with self._taking:
            self._hold()
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="remote-upscale-lease", daemon=True)
                self._keeper.start()
        return self.name

    def alive(self, name: str, connection: Connection) -> bool:
        if name == self.name:  # its lock may be on its way back
            return self._keeper is not None
        key = _key(name)
        if not connection.scalar(select(func.pg_try_advisory_lock_shared(key))):
            return True
        connection.execute(select(func.pg_advisory_unlock_shared(key)))
        return _has_grace(name, connection)

    def strike_off(self, names: Collection[str], connection: Connection) -> None:
        connection.execute(delete(leases).where(leases.c.name.in_(names)))

    def release(self) -> None:
        self._released.set()
        with self._taking, suppress(SQLAlchemyError):
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.detach()  # closed for good: back in the pool, it would keep the lock
                try:
                    connection.execute(delete(leases).where(leases.c.name == self.name))
                finally:
                    connection.close()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None

    def _keep(self) -> None:
        """Take the lock again whenever it was lost, until the lease is given up."""
        while not self._released.wait(_BEAT):
            with self._taking, suppress(SQLAlchemyError):  # the server is away: at the next beat
                self._hold()

    def _hold(self) -> None:
        """See that the lock is held; to be called by one thread at a time."""
        if self._released.is_set() or self._is_held():
            return
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            connection.execute(select(func.pg_advisory_lock(_key(self.name))))
            connection.execute(delete(leases).where((leases.c.name == self.name) | _expired()))
            lease = select(literal(self.name), _STARTED)
            connection.execute(insert(leases).from_select(["name", "server_started"], lease))
        except SQLAlchemyError:
            connection.invalidate()  # back in the pool, it might keep the lock
            connection.close()
            raise
        self._connection = connection

    def _is_held(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(select(1))
        except SQLAlchemyError:
            with suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = None
            return False
        return True


def _has_grace(name: str, connection: Connection) -> bool:
    """Whether a lock that is free was lost to a restart of the server just now."""
    on_record = select(leases.c.name).where(leases.c.name == name, leases.c.server_started != _STARTED)
    return connection.scalar(on_record.where(_SINCE_START < _GRACE)) is not None


def _expired() -> ColumnElement[bool]:
    """Leases of before a restart that make no difference any more."""
    return (leases.c.server_started != _STARTED) & (_SINCE_START >= _GRACE)


def _key(name: str) -> int:
    """The number of a lease's lock, of 64 bits with sign."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
