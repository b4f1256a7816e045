"""Bringing the ledger's tables up to date, by the steps in ``migrations/versions``."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ..errors import StorageFailed
from .schema import REVISION, VERSION_TABLE

_STEPS = Path(__file__).parent / "migrations"
_FIRST = "v0001"
_one_at_a_time = threading.Lock()
"""Alembic keeps what it is at in the module, for all threads: two ledgers may be opened in one process."""


def bring_up_to_date(connection: Connection, title: str) -> None:
    """Make or change the tables, within the caller's exclusive transaction.

    Args:
        connection: to the database.
        title: what to call it to people.

    Raises:
        StorageFailed: a newer release made them.
    """
    found = _revision(connection)
    if found == REVISION:
        return
    with _one_at_a_time:
        _upgrade(connection, found, title)


def _upgrade(connection: Connection, found: str | None, title: str) -> None:
    # Imported where it is needed, which is once in a ledger's life: it takes as long as all the rest.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", str(_STEPS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StorageFailed(
            f"The job ledger {title} is from a newer release ({found[:20]}, this one knows {REVISION}).",
            hint="Update, or set REMOTE_UPSCALE_HOME to another folder.",
        )
    if found == _FIRST:
        command.stamp(config, _FIRST)
    command.upgrade(config, REVISION)


def _revision(connection: Connection) -> str | None:
    """The step that the tables are at; ``None`` where there are none."""
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE in tables:
        return connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 (no input)
    if "meta" in tables:  # the first release kept it there, as a number
        number = connection.scalar(text("SELECT value FROM meta WHERE name = 'schema'"))
        return f"v{number!s:0>4}"
    return None
