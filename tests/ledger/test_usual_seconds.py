"""How long jobs take, as the ledger knows it from earlier ones."""

from datetime import UTC, datetime, timedelta

import pytest
from ledger_steps import bring_to, completed, submitted
from remote_upscale.api_clients.ledger.schema import jobs
from sqlalchemy import update

MODEL = "fal/seedvr2-image"


@pytest.fixture
def took(ledger):
    """Records a job that took so many seconds."""

    def took(seconds, *, make=completed, **changes):
        job = make(ledger, **{"pixels": 1000} | changes)
        began = datetime.now(UTC)
        times = {"submitted": began, "finished": began + timedelta(seconds=seconds)}
        with ledger.database.transaction() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job).values(**times))
        return job

    return took


def test_nothing_is_known_without_a_job_like_it(ledger, took):
    took(5, model="fal/seedvr2-seamless")
    took(5, sandbox=True)
    took(5, pixels=None)
    took(5, pixels=400)
    took(5, pixels=1600)
    took(5, make=submitted)
    took(5, make=lambda ledger, **changes: bring_to(ledger, "failed", **changes))
    assert ledger.usual_seconds(MODEL, 1000, sandbox=False) is None


def test_it_is_the_median_of_those_of_about_the_size(ledger, took):
    for seconds, pixels in ((10, 1000), (12, 1400), (90, 700), (3, 500)):
        took(seconds, pixels=pixels)
    assert ledger.usual_seconds(MODEL, 1000, sandbox=False) == pytest.approx(12)


def test_a_job_that_was_interrupted_tells_nothing(ledger, took):
    took(10)
    ledger.set_note(took(86400), "Interrupted.")
    assert ledger.usual_seconds(MODEL, 1000, sandbox=False) == pytest.approx(10)


def test_only_the_latest_jobs_count(ledger, took, monkeypatch):
    monkeypatch.setattr("remote_upscale.api_clients.ledger.history._LATEST", 3)
    for seconds in (50, 1, 2, 3):
        took(seconds)
    assert ledger.usual_seconds(MODEL, 1000, sandbox=False) == pytest.approx(2)
