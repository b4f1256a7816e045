"""A submit that was not answered is looked for in the provider's own history, where there is one."""

import asyncio
from dataclasses import replace

import faults as faulty
import pytest
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import RemoteUpscaleError
from remote_upscale.api_clients.registry import find_model

FAL, CRYSTAL = find_model("fal/seedvr2-image"), find_model("pixazo/crystal-image")


@pytest.fixture
def job(photo, tmp_path):
    return Job(model=FAL, parameters={"seed": 7}, source=photo, destination=tmp_path / "out.jpg")


async def rows(engine):
    return await asyncio.to_thread(engine.ledger.sync.jobs)


async def left_unknown(engine, sandbox, job, *, taken=True):
    """Run a job whose submit is not answered, and that cannot be looked up yet."""
    sandbox.faults.add("submit", faulty.lost_reply() if taken else faulty.reset(), times=1)
    sandbox.faults.add("find", faulty.error(403), times=1)
    with pytest.raises(RemoteUpscaleError) as caught:
        await engine.run(job)
    assert caught.value.kind == "submission_unknown"


async def test_a_lost_reply_is_made_good_at_once(settings, sandbox, job):
    sandbox.faults.add("submit", faulty.lost_reply(), times=1)
    async with Engine.open(settings) as engine:
        outcome = await engine.run(job)
        [row] = await rows(engine)
    assert outcome.path.exists()
    assert (outcome.request_id, outcome.reused) == (sandbox.jobs[0].request_id, False)
    assert (row.state, row.request_id) == ("completed", sandbox.jobs[0].request_id)
    assert len(sandbox.jobs) == 1


async def test_running_again_finds_it_later(settings, sandbox, job):
    async with Engine.open(settings) as engine:
        await left_unknown(engine, sandbox, job)
        outcome = await engine.run(job)
        assert outcome.reused
        assert [row.state for row in await rows(engine)] == ["completed"]
    assert len(sandbox.jobs) == 1


async def test_resuming_finds_it_later(settings, sandbox, job):
    async with Engine.open(settings) as engine:
        await left_unknown(engine, sandbox, job)
        assert await engine.reconcile() == []
        [row] = await asyncio.to_thread(engine.ledger.sync.resumable, sandbox=False)
        assert (await engine.resume(row)).path.exists()
    assert len(sandbox.jobs) == 1


@pytest.mark.parametrize("trouble", [faulty.error(401), faulty.error(403), faulty.garbage("html")])
async def test_where_the_history_cannot_be_had_it_stays_unknown(hasty, sandbox, job, trouble):
    async with Engine.open(hasty) as engine:
        await left_unknown(engine, sandbox, job)
        sandbox.faults.add("find", trouble, times=None)
        with pytest.raises(RemoteUpscaleError, match="never answered"):
            await engine.run(job)
        assert [row.state for row in await engine.reconcile()] == ["submission_unknown"]
    assert len(sandbox.jobs) == 1


async def test_what_never_arrived_stays_unknown(settings, sandbox, job):
    async with Engine.open(settings) as engine:
        await left_unknown(engine, sandbox, job, taken=False)
        with pytest.raises(RemoteUpscaleError, match="never answered"):
            await engine.run(job)
    assert len(sandbox.jobs) == 0


async def test_other_pictures_other_parameters_and_known_jobs_are_not_taken_for_it(
    settings, sandbox, job, draw, tmp_path
):
    other = tmp_path / "other.png"
    draw((48, 48)).save(other)
    async with Engine.open(settings) as engine:
        await engine.run(job)  # the same picture with the same parameters, and known
        await engine.run(replace(job, source=other))
        await engine.run(replace(job, parameters={"seed": 8}))
        await left_unknown(engine, sandbox, replace(job, reuse=False), taken=False)
        assert len(await engine.reconcile()) == 1
    assert len(sandbox.jobs) == 3


async def test_two_that_look_alike_get_an_id_each(settings, sandbox, job):
    again = replace(job, reuse=False)
    async with Engine.open(settings) as engine:
        await left_unknown(engine, sandbox, again)
        await left_unknown(engine, sandbox, again)
        await left_unknown(engine, sandbox, again, taken=False)
        assert len(await engine.reconcile()) == 1
        found = {row.request_id for row in await rows(engine)} - {None}
    assert found == {job.request_id for job in sandbox.jobs}
    assert len(found) == 2


async def test_a_long_history_is_read_page_by_page(settings, sandbox, job, monkeypatch):
    monkeypatch.setattr("remote_upscale.api_clients.providers.fal_history._PAGE_SIZE", 1)
    async with Engine.open(settings) as engine:
        await left_unknown(engine, sandbox, job)
        for seed in range(3):
            await engine.run(replace(job, parameters={"seed": seed}))
        assert await engine.reconcile() == []


async def test_where_nobody_can_be_asked_nobody_is(settings, sandbox, job):
    sandbox.faults.add("submit", faulty.lost_reply(), times=1)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError, match="nothing tells whether"):
            await engine.run(replace(job, model=CRYSTAL, parameters={}))
        assert len(await engine.reconcile()) == 1
    assert not any("by-endpoint" in request.path for request in sandbox.requests)
