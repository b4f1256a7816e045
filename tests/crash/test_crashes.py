"""What is paid is never lost and never paid twice, whatever moment a process is killed at."""

import os
import secrets

import pytest
from crashing import Report, crash_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def seed():
    """Printed with every failure; CRASH_SEED gives it again."""
    return int(os.environ.get("CRASH_SEED") or secrets.randbelow(10**6))


def require(report: Report, in_order: bool):
    """Fail with the whole report, which says what was done before each finding."""
    if not in_order:
        pytest.fail(str(report), pytrace=False)


async def test_nothing_is_lost_or_paid_twice(tmp_path, seed):
    """Where a kill falls is a matter of timing: there are more of them until each stage was hit."""
    missed = None
    for turn, kills in enumerate((40, 20, 20, 20)):
        folder = tmp_path / str(turn)
        folder.mkdir()
        report = await crash_run(folder, kills=kills, seed=seed + turn)
        assert report.kills >= kills
        require(report, not report.violations)
        missed = set(report.never_hit) if missed is None else missed & set(report.never_hit)
        if not missed:
            break
    require(report, not missed)


async def test_nor_with_a_ledger_in_postgresql(tmp_path, seed, postgresql):
    """One database for each home: users who share one are another matter."""
    made = []

    def environment(_model):
        made.append(postgresql.create())
        return {"REMOTE_UPSCALE_LEDGER_URL": made[-1]}

    try:
        report = await crash_run(tmp_path, kills=10, seed=seed, environment=environment)
    finally:
        for url in made:
            postgresql.drop(url)
    assert report.kills >= 10
    require(report, not report.violations)
