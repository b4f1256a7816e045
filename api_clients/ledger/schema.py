"""The ledger's tables as they are now. Plain SQL types only, so that they are the same in every database."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from ..providers.base import Handle
from ..states import JobState
from .money import from_nanos, to_nanos

REVISION = "v0005"
"""The last step of ``migrations/versions``, which leads to these tables."""

VERSION_TABLE = "remote_upscale_version"
"""Where Alembic keeps the step that the tables are at."""


class _Time(TypeDecorator[datetime]):
    """A moment, in UTC; SQLite keeps no time zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value and value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


class _Money(TypeDecorator[Decimal]):
    """US dollars, kept as whole nano-dollars, so that every database adds them up exactly."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else to_nanos(value)

    def process_result_value(self, value: int | Decimal | None, dialect: Dialect) -> Decimal | None:
        # PostgreSQL gives sums of integers as decimals.
        return None if value is None else from_nanos(int(value))


class _Object(TypeDecorator[dict[str, Any]]):
    """A JSON object."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        return None if value is None else json.loads(value)


class _Path(TypeDecorator[str]):
    """A path. One that holds lone surrogates (bytes that are no text) is kept as a JSON string in quotes."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or not (
            value.startswith('"') or any("\ud800" <= char <= "\udfff" for char in value)
        ):
            return value
        return json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return json.loads(value) if value is not None and value.startswith('"') else value


class _Handle(TypeDecorator[Handle]):
    """A job's handle at its provider, as a JSON object of its fields."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: Handle | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(asdict(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Handle | None:
        return None if value is None else Handle(**json.loads(value))


class _State(TypeDecorator[JobState]):
    """A job's state, as its word."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: JobState | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> JobState | None:
        return None if value is None else JobState(value)


metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("model", String(100), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("identity", String(64), nullable=False),
    Column("parameters", _Object, nullable=False),
    Column("source", _Path, nullable=False),
    Column("destination", _Path),
    Column("sandbox", Boolean, nullable=False),
    Column("state", _State, nullable=False),
    Column("owner", String(40)),
    Column("account", String(16)),
    Column("request_id", String(200)),
    Column("handle", _Handle),
    Column("link", String(64)),
    Column("cost", _Money),
    Column("pixels", BigInteger),
    Column("created", _Time, nullable=False),
    Column("placed", _Time),
    Column("sent", _Time),
    Column("submitted", _Time),
    Column("stored", _Time),
    Column("finished", _Time),
    Column("result_path", _Path),
    Column("result_sha256", String(64)),
    Column("result_bytes", BigInteger),
    Column("width", Integer),
    Column("height", Integer),
    Column("error_kind", String(40)),
    Column("error_message", Text),
    Column("note", Text),
    Index("jobs_identity", "identity", "state"),
    Index("jobs_state", "state"),
    Index("jobs_latest", "model", "sandbox", "state", "id"),
    Index("jobs_request", "request_id"),
    Index("jobs_spending", "created", "sandbox", "cost"),
)
"""One row for each job."""

results = Table(
    "results",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("bytes", BigInteger, nullable=False),
    Column("used", _Time, nullable=False),
    Index("results_used", "used"),
)
"""What is in the result store, and when it was last put there or taken from it."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("server_started", _Time, nullable=False),
)
"""Owners of jobs in PostgreSQL, and when the server had started that gave them their lock."""

contents = Table(
    "contents",
    metadata,
    Column("file", String(64), primary_key=True),
    Column("content", String(64), nullable=False),
    Column("seen", _Time, nullable=False),
)
"""Digests of the bytes of inputs, with those of what they show, so that each is decoded only once."""
