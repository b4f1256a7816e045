"""The embedded sandbox forgets its jobs with its process, and touches nothing that is configured."""

from dataclasses import replace

import pytest
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import RemoteUpscaleError, TimedOut
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.settings import Settings

CRYSTAL = find_model("pixazo/crystal-image")


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", sandbox=True, poll_floor=0.05)


@pytest.fixture
def job(photo, tmp_path):
    return Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "out.png")


async def left_behind(settings, job):
    async with Engine.open(settings) as engine:
        with pytest.raises(TimedOut) as caught:
            await engine.run(replace(job, time_limit=0.01))
        assert "as long as this process runs" in caught.value.hint
        [row] = await engine.ledger.call(engine.ledger.sync.resumable, sandbox=True)
    return row


async def test_a_job_that_it_forgot_is_ordered_again_at_once(settings, job):
    await left_behind(settings, job)
    async with Engine.open(settings) as engine:
        outcome = await engine.run(job)
        states = [row.state.value for row in await engine.ledger.call(engine.ledger.sync.jobs)]
    assert not outcome.reused
    assert states == ["completed", "failed"]


async def test_resuming_one_says_what_became_of_it(settings, job):
    row = await left_behind(settings, job)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError, match="sandbox that had this job has ended"):
            await engine.resume(row)
        assert await engine.ledger.call(engine.ledger.sync.resumable, sandbox=True) == []


async def test_locks_of_killed_processes_do_not_pile_up(settings, job):
    for folder in ("partial", "hosting"):
        (settings.home / "sandbox" / folder).mkdir(parents=True)
        (settings.home / "sandbox" / folder / "dead.lock").touch()
    async with Engine.open(settings) as engine:
        await engine.run(job)
    assert list((settings.home / "sandbox").rglob("*.lock")) == []
