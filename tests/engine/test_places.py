"""How many jobs of a key may be at the provider at once, over processes, for resumed jobs too."""

import asyncio
from dataclasses import replace

import faults as faulty
import pytest
from remote_upscale.api_clients.engine import Engine, Job, Stage
from remote_upscale.api_clients.errors import TimedOut
from remote_upscale.api_clients.registry import MODELS, find_model
from remote_upscale.api_clients.sandbox import Delays, Sandbox

CRYSTAL = find_model("pixazo/crystal-image")


@pytest.fixture
def jobs(draw, tmp_path):
    """Four jobs of four different pictures."""
    for index in range(4):
        draw((40 + index, 30)).save(tmp_path / f"in{index}.png")
    return [
        Job(
            model=CRYSTAL,
            parameters={},
            source=tmp_path / f"in{index}.png",
            destination=tmp_path / f"out{index}.png",
        )
        for index in range(4)
    ]


async def rows(engine):
    return await engine.ledger.call(engine.ledger.sync.jobs)


async def until(condition):
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 (what is watched is no event of ours)
            await asyncio.sleep(0.01)


async def test_an_input_is_hosted_when_there_is_a_place_for_its_job(settings, jobs):
    """Else its link might run out while the job waits."""
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=60)) as slow:
        narrow = replace(settings, roots=slow.roots, at_once=1)
        async with Engine.open(narrow) as one, Engine.open(narrow) as two:
            first = asyncio.create_task(one.run(jobs[0]))

            async def submitted():
                return [row.state.value for row in await rows(one)] == ["submitted"]

            await until(submitted)
            uploads = sum("upload" in request.path for request in slow.requests)
            waits, reports = asyncio.Event(), []

            def watch(progress):
                reports.append(progress.stage)
                if progress.stage is Stage.QUEUED and "under way" in progress.note:
                    waits.set()

            second = asyncio.create_task(two.run(jobs[1], watch))
            async with asyncio.timeout(10):
                await waits.wait()
            assert sum("upload" in request.path for request in slow.requests) == uploads
            assert Stage.HOSTING not in reports
            assert {row.state.value for row in await rows(one)} == {"submitted", "prepared"}
            first.cancel()
            async with asyncio.timeout(10):
                await until(lambda: _hosted(slow, uploads))
            second.cancel()
            await asyncio.gather(first, second, return_exceptions=True)


async def test_whoever_waits_in_this_process_says_so(settings, jobs):
    """A node may stop to prepare further pictures as long as nothing is heard of the ones it has given."""
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=0.3)) as slow:
        async with Engine.open(replace(settings, roots=slow.roots, at_once=1)) as engine:
            told = {"full": [], "same": []}
            outcomes = await asyncio.gather(
                engine.run(jobs[0]),
                engine.run(jobs[1], told["full"].append),
            )
            assert all(outcome.path.exists() for outcome in outcomes)
            assert told["full"][0].stage is Stage.QUEUED
        async with Engine.open(replace(settings, roots=slow.roots)) as engine:
            first = asyncio.create_task(engine.run(jobs[2]))
            await until(lambda: _driven(engine))
            assert (await engine.run(jobs[2], told["same"].append)).reused
            assert told["same"][0].stage is Stage.QUEUED
            await first


async def _driven(engine):
    return engine.services.driven


async def _hosted(sandbox, before):
    return sum("upload" in request.path for request in sandbox.requests) > before


async def test_resumed_jobs_wait_for_places_too(settings, sandbox, jobs):
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=None)
    async with Engine.open(settings) as engine:
        for job in jobs:
            with pytest.raises(TimedOut):
                await engine.run(replace(job, time_limit=0.1))
    sandbox.faults.clear()
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=6)
    narrow, most = replace(settings, at_once=1), 0
    async with Engine.open(narrow) as one, Engine.open(narrow) as two:

        async def count(done):
            nonlocal most
            while not done.is_set():
                owned = [row for row in await rows(one) if row.owner and row.state == "submitted"]
                most = max(most, len(owned))

        done = asyncio.Event()
        counting = asyncio.create_task(count(done))
        left = await one.ledger.call(one.ledger.sync.resumable, sandbox=False)
        resumed = [(one if index % 2 else two).resume(row) for index, row in enumerate(left)]
        outcomes = await asyncio.gather(*resumed)
        done.set()
        await counting
    assert all(outcome.path.exists() for outcome in outcomes)
    assert most == 1
