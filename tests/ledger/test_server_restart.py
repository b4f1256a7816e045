"""What becomes of jobs when the ledger's server restarts, or breaks connections, while they are driven."""

import time
from datetime import timedelta

import postgresql_server
import pytest
from ledger_steps import RESULT, STORED, prepare, submitted
from remote_upscale.api_clients.errors import StorageFailed
from remote_upscale.api_clients.ledger import Claim, JobState, Ledger, OwnershipLost, server_lease
from sqlalchemy import select, text


@pytest.fixture(scope="module")
def server(postgresql):
    """One that may be restarted; the session's is for others, too."""
    with postgresql_server.serve(postgresql_server.find_programs()) as server:
        yield server


@pytest.fixture
def url(server):
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def idle(monkeypatch):
    """Leases are not looked after: their lock is gone after a restart."""
    monkeypatch.setattr(server_lease, "_BEAT", 3600)


def restart(server):
    server.stop()
    server.start()


def wait_until(holds):
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "it never holds"
        time.sleep(0.01)


def lock_is_held(ledger, name):
    key = server_lease._key(name)
    halves = {"high": key >> 32 & 0xFFFFFFFF, "low": key & 0xFFFFFFFF}
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = :high AND objid = :low"
    with ledger.database.transaction(reading=True) as connection:
        return connection.scalar(text(locks), halves) == 1


def leases(ledger):
    with ledger.database.transaction(reading=True) as connection:
        return set(connection.scalars(select(server_lease.leases.c.name)))


def test_after_a_restart_a_living_driver_has_time_to_come_back(server, url, idle):
    driver = Ledger(url)
    fresh, running = prepare(driver), submitted(driver)
    restart(server)
    other = Ledger(url)
    assert not lock_is_held(other, driver._lease.name)
    assert [row.state for row in other.jobs()] == [JobState.SUBMITTED, JobState.PREPARED]
    assert other.claim(running) is Claim.BUSY
    driver.mark_submitting(fresh, link="l")  # its lock is not back yet, and the jobs are its own
    driver.mark_completed(running, **RESULT)
    prepare(driver)
    assert lock_is_held(other, driver._lease.name)
    driver.close()
    other.close()


def test_a_driver_that_does_not_come_back_has_ended(server, url, idle, monkeypatch):
    driver = Ledger(url)
    job = submitted(driver)
    restart(server)
    monkeypatch.setattr(server_lease, "_GRACE", timedelta(0))
    other = Ledger(url)
    assert other.claim(job) is Claim.TAKEN
    assert leases(other) == {other._lease.name}
    for late in (lambda: driver.mark_stored(job, **STORED), lambda: driver.release(job)):
        with pytest.raises(OwnershipLost):
            late()
    assert driver.claim(job) is Claim.BUSY
    other.mark_completed(job, **RESULT)
    driver.close()
    other.close()


def test_a_process_never_takes_itself_for_dead(server, url, idle, monkeypatch):
    monkeypatch.setattr(server_lease, "_GRACE", timedelta(0))
    driver = Ledger(url)
    job = submitted(driver)
    restart(server)
    driver.reap_dead_owners()
    assert driver.owns(driver.get(job))
    driver.close()


def test_a_lost_lock_is_taken_again_without_anybody_asking(server, url, monkeypatch):
    monkeypatch.setattr(server_lease, "_BEAT", 0.05)
    monkeypatch.setattr(server_lease, "_GRACE", timedelta(0))
    driver = Ledger(url)
    job = submitted(driver)
    restart(server)
    other = Ledger(url, patience=5)
    name = driver._lease.name
    # Nobody is asked for a job before: this is about the lock alone.
    wait_until(lambda: lock_is_held(other, name))
    assert other.claim(job) is Claim.BUSY
    driver.mark_completed(job, **RESULT)
    driver.close()
    other.close()


def test_a_connection_that_breaks_by_itself_comes_back(url, monkeypatch):
    monkeypatch.setattr(server_lease, "_BEAT", 0.05)
    driver = Ledger(url)
    job = submitted(driver)
    held = driver._lease._connection.connection.driver_connection.info.backend_pid
    with driver.database.transaction() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": held})
    wait_until(lambda: lock_is_held(driver, driver._lease.name))
    driver.mark_completed(job, **RESULT)
    driver.close()


def test_a_lease_that_was_given_up_leaves_nothing(url):
    driver, other = Ledger(url), Ledger(url)
    job = submitted(driver)
    assert leases(other) == {driver._lease.name}
    keeper = driver._lease._keeper
    driver.close()
    assert not keeper.is_alive()
    assert leases(other) == set()
    wait_until(lambda: other.claim(job) is Claim.TAKEN)
    other.close()


def test_a_server_that_is_away_is_told_as_such(server, url):
    ledger = Ledger(url, patience=0.2)
    job = submitted(ledger)
    server.stop()
    try:
        with pytest.raises(StorageFailed, match="cannot be used"):
            ledger.mark_stored(job, **STORED)
        with pytest.raises(StorageFailed) as caught:
            prepare(ledger)
        assert caught.value.meaning.not_accepted, "nothing was sent"
    finally:
        server.start()
    ledger.mark_completed(job, **RESULT)
    ledger.close()
