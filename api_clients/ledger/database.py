"""Opening the ledger's database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex, CreateTable

from ..errors import InvalidParameter
from .schema import SCHEMA, meta, metadata


def connect(path: Path, patience: float) -> Engine:
    """An engine on the SQLite file, with the tables in place and shown to be writable.

    Args:
        path: the file; it and its folder are made if missing, for this user alone.
        patience: seconds to wait for another process's transaction.

    Raises:
        InvalidParameter: a newer release made the ledger.
        OSError, SQLAlchemyError, ValueError: it cannot be used.
    """
    _make_private(path)
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": patience})
    event.listen(engine, "connect", _prepare_connection)
    try:
        _make_tables(engine, path)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _prepare_connection(connection: Any, _record: object) -> None:
    """Readers beside a writer, and every commit on disk: a paid job's id must survive a power cut."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _make_tables(engine: Engine, path: Path) -> None:
    """Make what is missing; two processes may do so at the same time."""
    with engine.begin() as database:
        database.execute(CreateTable(meta, if_not_exists=True))
    _check_version(engine, path)
    with engine.begin() as database:
        for table in metadata.sorted_tables:
            database.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                database.execute(CreateIndex(index, if_not_exists=True))


def _check_version(engine: Engine, path: Path) -> None:
    """See that the tables are those of this release, by a write, which also shows that writing works."""
    found = _claim_version(engine)
    if found != str(SCHEMA):
        raise InvalidParameter(
            f"The job ledger {path} is from another release (schema {found[:20]}, this one knows {SCHEMA}).",
            hint="Update, or set REMOTE_UPSCALE_HOME to another folder.",
        )


def _claim_version(engine: Engine) -> str:
    """The schema version that the ledger has, writing ours where there is none."""
    known = {"name": "schema", "value": str(SCHEMA)}
    try:
        with engine.begin() as database:
            if not database.execute(
                update(meta).where(meta.c.name == "schema", meta.c.value == str(SCHEMA)).values(known)
            ).rowcount:
                database.execute(insert(meta).values(known))
    except IntegrityError:
        with engine.begin() as database:  # it has one already: another one, or another process was first
            return database.execute(select(meta.c.value).where(meta.c.name == "schema")).scalar_one()
    return str(SCHEMA)
