"""However a run ends, its job is left in a state from which it goes on, and its money is where it belongs."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import faults as faulty
import pytest
from remote_upscale.api_clients.engine import Engine, Job, SpendLimit, Stage, fetching, waiting
from remote_upscale.api_clients.engine.delivery import Delivery
from remote_upscale.api_clients.errors import RemoteUpscaleError, StorageFailed
from remote_upscale.api_clients.hosting import Hosting
from remote_upscale.api_clients.providers.pixazo import Pixazo
from remote_upscale.api_clients.registry import MODELS, find_model
from remote_upscale.api_clients.results.cache import ResultCache
from remote_upscale.api_clients.sandbox import Delays, Sandbox

CRYSTAL, FAL = find_model("pixazo/crystal-image"), find_model("fal/seedvr2-image")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def job(photo, tmp_path):
    return Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "out.png")


def boom(*_args, **_kwargs):
    raise MemoryError("no error of ours")


def full(*_args, **_kwargs):
    raise StorageFailed("The disk is full.")


async def rows(engine):
    return await engine.ledger.call(engine.ledger.sync.jobs)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is watched is no event of ours)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("where", "name", "state"),
    [
        (Hosting, "host", None),
        (Pixazo, "read_accepted", "submission_unknown"),
        (Pixazo, "read_status", "submitted"),
        (fetching, "verify_result", "submitted"),
        (ResultCache, "store", "submitted"),
        (Delivery, "_deliver", "stored"),
    ],
    ids=["hosting", "submit", "waiting", "fetching", "storing", "delivering"],
)
async def test_an_error_that_is_not_ours_leaves_nothing_owned_and_no_money_reserved(
    settings, sandbox, job, monkeypatch, where, name, state
):
    capped = replace(settings, budget=Decimal("0.14"))  # two jobs of $0.07
    async with Engine.open(capped) as engine:
        with monkeypatch.context() as broken:
            broken.setattr(where, name, boom)
            with pytest.raises(MemoryError):
                await engine.run(job)
        left = await rows(engine)
        assert [row.state for row in left] == ([state] if state else [])
        assert all(row.owner is None for row in left)
        assert engine.services.driven == set()
        if state == "submission_unknown":
            with pytest.raises(RemoteUpscaleError, match="never answered"):
                await engine.run(job)
        else:
            assert (await engine.run(job)).reused is (state is not None)
        assert await engine.ledger.call(engine.ledger.sync.spent, LONG_AGO) <= Decimal("0.07")
    assert len(sandbox.jobs) == 1


@pytest.mark.parametrize("times", [2, 3])
async def test_cancelling_again_does_not_interrupt_the_undoing(settings, sandbox, job, times):
    sandbox.faults.add("upload", faulty.hang())
    async with Engine.open(settings) as engine:
        run = asyncio.create_task(engine.run(replace(job, spend_limit=(limit := SpendLimit(Decimal(1))))))
        await until(lambda: engine.services.driven and engine.ledger.sync.jobs())
        for _ in range(times):
            run.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await run
        assert await rows(engine) == []
    assert limit.left == 1


async def test_cancelling_again_while_the_provider_is_told_still_tells_it(settings, photo, tmp_path):
    async with Sandbox(MODELS.values(), delays=Delays(queue=5, run=5)) as slow:
        async with Engine.open(replace(settings, roots=slow.roots)) as engine:
            job = Job(model=FAL, parameters={}, source=photo, destination=tmp_path / "a.jpg")
            run = asyncio.create_task(engine.run(job))
            await until(lambda: [row.state for row in engine.ledger.sync.jobs()] == ["submitted"])
            for _ in range(3):
                run.cancel()
                await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                await run
            [row] = await rows(engine)
        assert slow.jobs[0].state == "cancelled"
    assert (row.state, row.owner) == ("cancelled", None)


async def test_a_job_is_driven_before_the_ledger_says_so(settings, sandbox, job, monkeypatch):
    """Another run of this process that sees the new row must not take it for one that was left."""
    async with Engine.open(settings) as engine:
        ledger, seen = engine.ledger.sync, []
        real = ledger.insert_pending

        def insert(*args, **kwargs):
            found = real(*args, **kwargs)
            seen.extend(row.id in engine.services.driven for row in ledger.jobs())
            return found

        monkeypatch.setattr(ledger, "insert_pending", insert)
        await asyncio.gather(*(engine.run(replace(job, reuse=False)) for _ in range(3)))
    assert seen
    assert all(seen)
    assert len(sandbox.jobs) == 3


async def test_a_refused_job_gives_its_money_back(settings, sandbox, job):
    limit = SpendLimit(Decimal("0.07"))
    limited = replace(job, spend_limit=limit)
    sandbox.faults.add("submit", faulty.error(400), times=1)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError):
            await engine.run(limited)
        assert limit.left == Decimal("0.07")
        [row] = await rows(engine)
        assert (row.state, row.cost) == ("failed", 0)
        await engine.run(limited)
    assert limit.left == 0


async def test_a_job_that_ended_uncharged_gives_its_money_back(settings, sandbox, job):
    limit = SpendLimit(Decimal("0.07"))
    sandbox.faults.add("run", faulty.fails("ERROR"), times=1)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError):
            await engine.run(replace(job, spend_limit=limit))
        [row] = await rows(engine)
    assert (row.state, row.cost) == ("failed", 0)
    assert limit.left == Decimal("0.07")


async def test_a_job_that_may_have_been_charged_keeps_its_money(settings, sandbox, job):
    limit = SpendLimit(Decimal("0.07"))
    sandbox.faults.add("submit", faulty.lost_reply(), times=1)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError):
            await engine.run(replace(job, spend_limit=limit))
    assert limit.left == 0


async def test_an_interrupt_while_the_result_is_stored_keeps_it(settings, sandbox, job, monkeypatch):
    storing, go_on = asyncio.Event(), asyncio.Event()
    real = ResultCache.store

    async def store(self, *args):
        storing.set()
        await go_on.wait()
        return await real(self, *args)

    monkeypatch.setattr(ResultCache, "store", store)
    async with Engine.open(settings) as engine:
        run = asyncio.create_task(engine.run(job))
        await storing.wait()
        for _ in range(2):
            run.cancel()
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await run
        [row] = await rows(engine)
        assert (row.state, row.owner) == ("stored", None)
        assert (await engine.run(job)).reused
    assert len(sandbox.jobs) == 1


async def test_a_ledger_that_waits_starves_no_downloads_of_threads(settings, sandbox, job, draw, tmp_path):
    """The default pool of threads stays free for files, however many calls wait for the ledger."""
    async with Engine.open(settings) as engine:
        hold = threading.Event()
        waiting = [asyncio.create_task(engine.ledger.call(hold.wait, 10)) for _ in range(100)]
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(lambda: "free") == "free"
        hold.set()
        await asyncio.gather(*waiting)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_an_id_that_the_ledger_could_not_take_is_told_to_it_later(
    settings, sandbox, job, monkeypatch, cancelled
):
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=None)
    seen = []
    async with Engine.open(settings) as engine:
        ledger = engine.ledger.sync
        with monkeypatch.context() as broken:
            broken.setattr(ledger, "mark_submitted", full)
            run = asyncio.create_task(
                engine.run(replace(job, time_limit=None if cancelled else 1), seen.append)
            )
            await until(lambda: any(told.stage is Stage.RUNNING for told in seen))
        [row] = await rows(engine)
        assert (row.state, row.request_id) == ("submitting", None)
        if cancelled:
            run.cancel()
        with pytest.raises(asyncio.CancelledError if cancelled else RemoteUpscaleError):
            await run
        [row] = await rows(engine)
        assert (row.state, row.request_id, row.owner) == ("submitted", sandbox.jobs[0].request_id, None)
        sandbox.faults.clear()
        assert (await engine.run(job)).reused
    assert len(sandbox.jobs) == 1


async def test_a_job_is_taken_up_by_one_run_of_a_process(settings, sandbox, job):
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=None)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError):
            await engine.run(replace(job, time_limit=0.1))
        [row] = await rows(engine)
        sandbox.faults.clear()
        runs = await asyncio.gather(*(engine.resume(row) for _ in range(3)), return_exceptions=True)
        kinds = sorted(run.kind if isinstance(run, RemoteUpscaleError) else "" for run in runs)
        assert kinds == ["", "not_found", "not_found"]
        [row] = await rows(engine)
    assert (row.state, row.owner, row.error_kind) == ("completed", None, None)


async def test_a_clock_that_was_set_back_keeps_nobody_waiting(settings, sandbox, job, monkeypatch):
    """What the provider does not know is believed though the ledger says that it was submitted tomorrow."""
    monkeypatch.setattr(waiting, "VISIBLE_AFTER", 0.2)
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=None)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError):
            await engine.run(replace(job, time_limit=0.1))
        [row] = await rows(engine)
        sandbox.faults.clear()
        sandbox.faults.add("status", faulty.error(404), times=None)
        tomorrow = replace(row, submitted=row.submitted + timedelta(days=1))
        async with asyncio.timeout(10):
            with pytest.raises(RemoteUpscaleError) as caught:
                await engine.resume(tomorrow)
    assert caught.value.kind == "not_found"
