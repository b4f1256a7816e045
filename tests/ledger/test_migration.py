"""Ledgers of earlier releases are brought up to date with all that is in them."""

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from alembic import command
from alembic.config import Config
from ledger_steps import RESULT
from remote_upscale.api_clients.ledger import Claim, JobState, Ledger, migration
from remote_upscale.api_clients.ledger.schema import VERSION_TABLE, jobs
from sqlalchemy import column, create_engine, insert, table

FIRST_RELEASE = """
CREATE TABLE meta (name VARCHAR(40) PRIMARY KEY, value VARCHAR(200) NOT NULL);
CREATE TABLE jobs (
    id VARCHAR(40) PRIMARY KEY, model VARCHAR(100) NOT NULL, digest VARCHAR(64) NOT NULL,
    identity VARCHAR(64) NOT NULL, parameters TEXT NOT NULL, source TEXT NOT NULL, destination TEXT NOT NULL,
    sandbox BOOLEAN NOT NULL, state VARCHAR(20) NOT NULL, owner VARCHAR(40), request_id VARCHAR(200),
    handle TEXT, cost VARCHAR(40), created DATETIME NOT NULL, submitted DATETIME, finished DATETIME,
    result_path TEXT, result_sha256 VARCHAR(64), result_bytes BIGINT, width INTEGER, height INTEGER,
    error_kind VARCHAR(40), error_message TEXT, note TEXT);
CREATE INDEX jobs_identity ON jobs (identity, state);
CREATE INDEX jobs_state ON jobs (state);
INSERT INTO meta VALUES ('schema', '1');
INSERT INTO jobs (id, model, digest, identity, parameters, source, destination, sandbox, state, request_id,
    handle, cost, created) VALUES ('0001', 'fal/seedvr2-image', 'd', 'i', '{"seed": 7}', 'a.png',
    '/out/a.png', 0, 'submitted', 'r-1',
    '{"provider": "fal", "model": "fal/seedvr2-image", "request_id": "r-1",
    "status_url": "https://queue.fal.run/r-1/status", "result_url": null, "cancel_url": null}', '0.01',
    '2026-01-02 03:04:05.000000');
"""


def test_a_ledger_of_the_first_release_is_brought_up_to_date(path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database:
        database.executescript(FIRST_RELEASE)
    ledger = Ledger(path)
    (row,) = ledger.resumable(sandbox=False)
    assert (row.request_id, str(row.cost), row.parameters) == ("r-1", "0.01", {"seed": 7})
    assert ledger.claim(row.id) is Claim.TAKEN
    ledger.mark_completed(row.id, **RESULT)
    assert ledger.get(row.id).state is JobState.COMPLETED
    ledger.close()
    Ledger(path).close()


CREATED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
NUMBERS = random.Random(11)
AMOUNTS = [Decimal(NUMBERS.randrange(10 ** NUMBERS.randrange(1, 13))).scaleb(-9) for _ in range(200)]
ODD = {
    "1E-8": "0.00000001",
    "0.010": "0.01",
    "1E+2": "100",
    "0": "0",
    "0.00100000000000000001": "0.001000001",
}
"""Texts as decimals were written, and what they come to."""
STATES = [state.value for state in JobState]


def rows_of_before():
    """A row for each amount, in all states, with and without an id."""
    texts = [*map(str, AMOUNTS), *ODD, None]
    for number, cost in enumerate(texts):
        state = STATES[number % len(STATES)]
        yield {
            "id": f"{number:024x}",
            "model": "fal/seedvr2-image",
            "digest": "d",
            "identity": f"i{number}",
            "parameters": '{"seed": 7}',
            "source": "a.png",
            "destination": "/out/a.png",
            "sandbox": False,
            "state": state,
            "owner": None,
            "request_id": f"r-{number}" if state == "submitted" or number % 3 else None,
            "cost": cost,
            "created": CREATED,
            "note": "a note",
        }


def expected_cost(row):
    never_charged = row["request_id"] is None and row["state"] in ("failed", "cancelled")
    if never_charged:
        return Decimal(0)
    return row["cost"] and Decimal(ODD.get(row["cost"], row["cost"]))


def make_ledger_of(revision, place):
    """A ledger as the release of a step left it, with rows in it."""
    url = place if isinstance(place, str) else f"sqlite:///{place}"
    if not isinstance(place, str):
        place.parent.mkdir()
    engine = create_engine(url)
    with engine.begin() as connection:
        attributes = {"connection": connection, "version_table": VERSION_TABLE}
        config = Config(attributes=attributes)
        config.set_main_option("script_location", str(migration._STEPS))
        config.set_main_option("path_separator", "os")
        command.upgrade(config, revision)
        rows = list(rows_of_before())
        types = {"created": jobs.c.created.type}
        before = table("jobs", *(column(name, types.get(name)) for name in rows[0]))
        connection.execute(insert(before), rows)
    engine.dispose()
    return rows


@pytest.mark.parametrize("revision", ["v0001", "v0002", "v0003", "v0004"])
def test_a_ledger_of_every_earlier_step_keeps_its_jobs_and_their_money(place, revision):
    before = make_ledger_of(revision, place)
    ledger = Ledger(place)
    after = {row.id: row for row in ledger.jobs()}
    assert len(after) == len(before)
    for row in before:
        now = after[row["id"]]
        assert now.cost == expected_cost(row), row
        assert (now.state, now.request_id, now.note) == (row["state"], row["request_id"], "a note")
        assert (now.created, now.parameters, now.destination) == (CREATED, {"seed": 7}, "/out/a.png")
        assert (now.placed, now.owner) == (None, None)
    total = sum(cost for row in before if (cost := expected_cost(row)) is not None)
    assert ledger.spent(CREATED) == total
    ledger.close()


def test_what_counted_before_counts_now(path):
    """The sum of a month was made of states and ids; now what was never charged costs nothing."""
    before = make_ledger_of("v0004", path)
    charged = ("submitting", "stored", "completed", "submission_unknown", "prepared")
    counted = [row for row in before if row["cost"] and (row["request_id"] or row["state"] in charged)]
    ledger = Ledger(path)
    assert ledger.spent(CREATED) == sum(Decimal(ODD.get(row["cost"], row["cost"])) for row in counted)
    ledger.close()
