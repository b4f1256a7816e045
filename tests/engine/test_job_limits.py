"""What a single job may cost, and how long it may take, whatever the settings allow."""

from dataclasses import replace
from decimal import Decimal

import faults as faulty
import pytest
from remote_upscale.api_clients.engine import Engine, Job, SpendLimit
from remote_upscale.api_clients.errors import (
    BudgetExceeded,
    HostingFailed,
    InvalidInput,
    RemoteUpscaleError,
    TimedOut,
)
from remote_upscale.api_clients.registry import find_model


@pytest.fixture
def crystal(photo, tmp_path):
    """A job of 7 cents."""
    return Job(
        model=find_model("pixazo/crystal-image"),
        parameters={},
        source=photo,
        destination=tmp_path / "out.png",
    )


@pytest.mark.parametrize(
    ("model", "allowed", "says"),
    [("pixazo/crystal-image", "0.0699", "would cost"), ("pixazo/seedvr2-3b-image", "9", "no known price")],
)
async def test_a_job_that_may_not_cost_so_much_is_not_sent(settings, sandbox, crystal, model, allowed, says):
    async with Engine.open(settings) as engine:
        job = replace(crystal, model=find_model(model), spend_limit=SpendLimit(Decimal(allowed)))
        with pytest.raises(BudgetExceeded, match=says):
            await engine.run(job)
        assert engine.ledger.sync.jobs() == []
    assert sandbox.requests == []


async def test_a_job_may_cost_just_that_and_reusing_it_costs_nothing(settings, sandbox, crystal):
    async with Engine.open(settings) as engine:
        await engine.run(replace(crystal, spend_limit=SpendLimit(Decimal("0.07"))))
        assert (await engine.run(replace(crystal, spend_limit=SpendLimit(Decimal(0))))).reused
    assert len(sandbox.jobs) == 1


async def test_a_job_that_runs_out_of_its_own_time_is_resumed(settings, sandbox, crystal):
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=None)
    async with Engine.open(settings) as engine:
        with pytest.raises(TimedOut, match=r"after 0\.2 s"):
            await engine.run(replace(crystal, time_limit=0.2))
        sandbox.faults.clear()
        outcome = await engine.run(crystal)
    assert outcome.reused
    assert len(sandbox.jobs) == 1


async def test_a_time_limit_bounds_trying_to_submit(settings, sandbox, crystal):
    """Without it the provider would be asked for as long as the settings say."""
    sandbox.faults.add("submit", faulty.error(503), times=None)
    patient = replace(settings, time=replace(settings.time, retry=3600))
    async with Engine.open(patient) as engine:
        with pytest.raises(RemoteUpscaleError) as caught:
            await engine.run(replace(crystal, time_limit=0.2))
        assert caught.value.meaning.not_accepted
        assert [row.state for row in engine.ledger.sync.jobs()] == ["failed"]
    assert sandbox.jobs == []


async def test_a_time_limit_bounds_the_upload(settings, sandbox, crystal):
    for stage in ("token", "initiate", "upload"):
        sandbox.faults.add(stage, faulty.error(503), times=None)
    patient = replace(settings, time=replace(settings.time, retry=3600))
    async with Engine.open(patient) as engine:
        with pytest.raises(HostingFailed, match="time limit"):
            await engine.run(replace(crystal, time_limit=0.2))
        assert engine.ledger.sync.jobs() == []


async def test_a_time_limit_bounds_fetching_and_the_result_is_fetched_later(settings, sandbox, crystal):
    sandbox.faults.add("download", faulty.error(503), times=None)
    patient = replace(settings, time=replace(settings.time, retry=3600))
    async with Engine.open(patient) as engine:
        with pytest.raises(TimedOut, match="time limit"):
            await engine.run(replace(crystal, time_limit=0.2))
        sandbox.faults.clear()
        assert (await engine.run(crystal)).reused
    assert len(sandbox.jobs) == 1


async def test_jobs_that_share_a_limit_cost_no_more_together(settings, sandbox, crystal, draw, tmp_path):
    limit = SpendLimit(Decimal("0.15"))
    jobs = []
    for number in range(3):
        source = tmp_path / f"{number}.png"
        draw((40, 32), shift=number).save(source)
        place = tmp_path / f"{number}-out.png"
        jobs.append(replace(crystal, source=source, destination=place, spend_limit=limit))
    async with Engine.open(settings) as engine:
        for job in (jobs[0], jobs[0], jobs[1], jobs[0]):  # what is reused takes nothing
            await engine.run(job)
        with pytest.raises(BudgetExceeded, match=r"is \$0\.15, of which \$0\.14 is spent"):
            await engine.run(jobs[2])
    assert limit.left == Decimal("0.01")
    assert len(sandbox.jobs) == 2


async def test_a_job_that_is_not_ordered_gives_its_money_back(settings, sandbox, crystal, tmp_path):
    limit = SpendLimit(Decimal("0.07"))
    (tmp_path / "folder").mkdir()
    async with Engine.open(settings) as engine:
        with pytest.raises(InvalidInput):
            await engine.run(replace(crystal, destination=tmp_path / "folder", spend_limit=limit))
        assert limit.left == Decimal("0.07")
        await engine.run(replace(crystal, spend_limit=limit))
    assert limit.left == 0
