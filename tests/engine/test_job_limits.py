"""What a single job may cost, and how long it may take, whatever the settings allow."""

from dataclasses import replace
from decimal import Decimal

import pytest
from remote_upscale.api_clients import sandbox as faulty
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import BudgetExceeded, TimedOut
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
    async with Engine(settings) as engine:
        job = replace(crystal, model=find_model(model), max_cost=Decimal(allowed))
        with pytest.raises(BudgetExceeded, match=says):
            await engine.run(job)
        assert engine.ledger.jobs() == []
    assert sandbox.requests == []


async def test_a_job_may_cost_just_that_and_reusing_it_costs_nothing(settings, sandbox, crystal):
    async with Engine(settings) as engine:
        await engine.run(replace(crystal, max_cost=Decimal("0.07")))
        assert (await engine.run(replace(crystal, max_cost=Decimal(0)))).reused
    assert len(sandbox.jobs) == 1


async def test_a_job_that_runs_out_of_its_own_time_is_resumed(settings, sandbox, crystal):
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=None)
    async with Engine(settings) as engine:
        with pytest.raises(TimedOut, match=r"after 0\.2 s"):
            await engine.run(replace(crystal, time_limit=0.2))
        sandbox.faults.clear()
        outcome = await engine.run(crystal)
    assert outcome.reused
    assert len(sandbox.jobs) == 1
