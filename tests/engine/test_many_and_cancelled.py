"""Many jobs at once, and giving up."""

import asyncio
import os
import threading
from dataclasses import replace
from decimal import Decimal

import cv2
import faults as faulty
import numpy as np
import pytest
from remote_upscale.api_clients.engine import Engine, Job, Outcome, SpendLimit, Stage
from remote_upscale.api_clients.errors import RemoteUpscaleError
from remote_upscale.api_clients.http import Http
from remote_upscale.api_clients.http.retry import RetryBudget
from remote_upscale.api_clients.ledger import Ledger
from remote_upscale.api_clients.registry import MODELS, find_model
from remote_upscale.api_clients.sandbox import Delays, Sandbox

CRYSTAL = find_model("pixazo/crystal-image")
FAL = find_model("fal/seedvr2-image")


@pytest.fixture
def jobs(draw, tmp_path):
    """Nine jobs of nine different pictures."""
    for index in range(9):
        draw((32 + index, 24)).save(tmp_path / f"in{index}.png")
    return [
        Job(
            model=CRYSTAL,
            parameters={},
            source=tmp_path / f"in{index}.png",
            destination=tmp_path / f"out{index}.png",
        )
        for index in range(9)
    ]


async def test_one_failure_stops_nobody(settings, sandbox, jobs):
    jobs[2].source.write_bytes(b"not a picture")
    sandbox.faults.add("run", faulty.fails("FAILED"), times=1)
    async with Engine.open(settings) as engine:
        results = await asyncio.gather(*map(engine.run, jobs), return_exceptions=True)
    for job, result in zip(jobs, results, strict=True):
        assert job.destination.exists() is isinstance(result, Outcome)
        assert not isinstance(result, Outcome) or result.path == job.destination
    kinds = [result.kind for result in results if isinstance(result, RemoteUpscaleError)]
    assert sorted(kinds) == ["invalid_input", "provider_failed"]
    assert results[2].kind == "invalid_input"
    assert len(sandbox.jobs) == 8


async def test_no_more_at_once_than_the_limit(settings, jobs):
    most = 0
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=0.2)) as slow:

        def watch(progress):
            nonlocal most
            most = max(most, sum(job.state not in ("done", "failed") for job in slow.jobs))

        async with Engine.open(replace(settings, roots=slow.roots, at_once=3)) as engine:
            results = await asyncio.gather(*(engine.run(job, watch) for job in jobs))
    assert all(outcome.path.exists() for outcome in results)
    assert 1 <= most <= 3


async def test_the_same_content_is_not_paid_for_again(settings, sandbox, photo, tmp_path):
    async with Engine.open(settings) as engine:
        first = await engine.run(
            Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
        )
        again = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "b.png")
        second = await engine.run(again)
        assert (second.reused, second.cost, second.request_id) == (True, 0, first.request_id)
        assert second.path.read_bytes() == first.path.read_bytes()
        assert len(sandbox.jobs) == 1
        assert not (await engine.run(replace(again, reuse=False))).reused
        assert not (await engine.run(replace(again, parameters={"scale_factor": 4}))).reused
        first.path.write_bytes(b"damaged")
        second.path.write_bytes(b"damaged")
        (tmp_path / "b.png").unlink()
    assert len(sandbox.jobs) == 3


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is watched is no event of ours)
            await asyncio.sleep(0.01)


def states(engine):
    return [row.state for row in engine.ledger.sync.jobs()]


async def start_and_cancel(engine, job, stage):
    notes, reached = [], asyncio.Event()

    def watch(progress):
        notes.append(progress)
        if progress.stage == stage:
            reached.set()

    task = asyncio.create_task(engine.run(job, watch))
    async with asyncio.timeout(10):
        await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return notes


async def test_cancelling_cancels_at_fal(settings, photo, tmp_path):
    async with Sandbox(MODELS.values(), delays=Delays(queue=5, run=5)) as slow:
        async with Engine.open(replace(settings, roots=slow.roots)) as engine:
            job = Job(model=FAL, parameters={}, source=photo, destination=tmp_path / "a.jpg")
            task = asyncio.create_task(engine.run(job))
            await until(lambda: states(engine) == ["submitted"])
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            [row] = engine.ledger.sync.jobs()
        assert slow.jobs[0].state == "cancelled"
    assert (row.state, row.request_id) == ("cancelled", slow.jobs[0].request_id)
    assert "Cancelled at fal" in row.note


async def test_where_cancelling_is_impossible_the_job_is_kept(settings, photo, tmp_path):
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=0.3)) as slow:
        async with Engine.open(replace(settings, roots=slow.roots)) as engine:
            told = []
            job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
            task = asyncio.create_task(engine.run(job, told.append))
            await until(lambda: states(engine) == ["submitted"])
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert told[-1].stage == Stage.CANCELLED
            assert "cannot cancel" in told[-1].note
            assert slow.jobs[0].request_id in told[-1].note
            [row] = engine.ledger.sync.resumable(sandbox=False)
            outcome = await engine.resume(row)
            assert outcome.path.exists()
        assert len(slow.jobs) == 1


async def test_cancelling_while_hosting_leaves_nothing(settings, sandbox, photo, tmp_path):
    sandbox.faults.add("upload", faulty.hang())
    async with Engine.open(settings) as engine:
        job = Job(model=FAL, parameters={}, source=photo, destination=tmp_path / "a.jpg")
        await start_and_cancel(engine, job, Stage.HOSTING)
        assert engine.ledger.sync.jobs() == []
    assert sandbox.jobs == []


async def test_cancelling_during_the_submit_waits_for_its_reply(settings, sandbox, photo, tmp_path):
    sandbox.faults.add("submit", faulty.slow(0.5))
    async with Engine.open(settings) as engine:
        job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
        task = asyncio.create_task(engine.run(job))
        await until(lambda: sandbox.jobs)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [row] = engine.ledger.sync.resumable(sandbox=False)
        assert row.request_id == sandbox.jobs[0].request_id


async def test_cancelling_a_submit_that_never_answers_is_on_record(settings, sandbox, photo, tmp_path):
    sandbox.faults.add("submit", faulty.hang(accepted=True))
    async with Engine.open(replace(settings, time=replace(settings.time, cancel=0.2))) as engine:
        job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
        told = []
        task = asyncio.create_task(engine.run(job, told.append))
        await until(lambda: sandbox.jobs)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [row] = engine.ledger.sync.jobs()
    assert (row.state, row.error_kind) == ("submission_unknown", "submission_unknown")
    assert told[-1].stage == Stage.CANCELLED
    assert "may be charged" in told[-1].note


async def test_cancelling_between_two_attempts_at_a_submit_leaves_nothing_unknown(
    settings, sandbox, photo, tmp_path, monkeypatch
):
    """Nothing is on its way then: nothing more is sent, and nothing can be charged."""
    waits, real = [], RetryBudget._wait_after
    monkeypatch.setattr(RetryBudget, "_wait_after", lambda *of: waits.append(real(*of)) or waits[-1])
    sandbox.faults.add("submit", faulty.error(429, retry_after=1000), times=1)
    limit, told = SpendLimit(Decimal("0.07")), []
    job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png", spend_limit=limit)
    async with Engine.open(replace(settings, time=replace(settings.time, retry=2000))) as engine:
        task = asyncio.create_task(engine.run(job, told.append))
        await until(lambda: waits)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        [row] = engine.ledger.sync.jobs()
        assert (row.state, row.cost, row.error_kind) == ("failed", 0, "rate_limited")
        assert "nothing was charged" in told[-1].note
        assert limit.left == Decimal("0.07")
        assert sandbox.jobs == []
        assert not (await engine.run(job)).reused


async def test_cancelling_a_submit_that_is_refused_leaves_nothing_unknown(
    settings, sandbox, photo, tmp_path, monkeypatch
):
    answered, go_on, real = asyncio.Event(), asyncio.Event(), Http.call

    async def call(self, request, **values):
        reply = await real(self, request, **values)
        if reply.status == 402:
            answered.set()
            await go_on.wait()
        return reply

    monkeypatch.setattr(Http, "call", call)
    sandbox.faults.add("submit", faulty.error(402), times=1)
    job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
    async with Engine.open(settings) as engine:
        task = asyncio.create_task(engine.run(job))
        await answered.wait()
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        [row] = engine.ledger.sync.jobs()
    assert (row.state, row.cost, row.error_kind) == ("failed", 0, "insufficient_balance")


@pytest.fixture
def held(monkeypatch):
    """Lets a method of the ledger do its work only when told to; it says when it is called."""

    def held(name):
        called, go_on, done = threading.Event(), threading.Event(), threading.Event()
        real = getattr(Ledger, name)

        def wait(*args, **kwargs):
            called.set()
            go_on.wait(10)
            try:
                return real(*args, **kwargs)
            finally:
                done.set()

        monkeypatch.setattr(Ledger, name, wait)
        return called, go_on, done

    return held


async def cancel_while(held, task):
    """Cancel a run while a step of the ledger is held, which then goes on."""
    called, go_on, done = held
    await until(called.is_set)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(done.is_set)


async def test_cancelling_while_it_is_entered_leaves_nothing(settings, sandbox, photo, tmp_path, held):
    enter = held("insert_pending")
    async with Engine.open(settings) as engine:
        job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
        await cancel_while(enter, asyncio.create_task(engine.run(job)))
        assert engine.ledger.sync.jobs() == []
    assert sandbox.jobs == []


async def test_cancelling_while_the_submit_is_put_on_record_leaves_nothing_unknown(
    settings, sandbox, photo, tmp_path, held
):
    mark = held("mark_submitting")
    async with Engine.open(settings) as engine:
        job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
        await cancel_while(mark, asyncio.create_task(engine.run(job)))
        [row] = engine.ledger.sync.jobs()
        assert (row.state, row.owner, row.cost) == ("failed", None, 0)
    assert sandbox.jobs == []


async def test_cancelling_while_it_is_taken_up_lets_it_go(settings, sandbox, photo, tmp_path, held):
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=None)
    job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png", time_limit=0.2)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError):
            await engine.run(job)
        claim = held("claim")
        await cancel_while(claim, asyncio.create_task(engine.run(job)))
        [row] = engine.ledger.sync.resumable(sandbox=False)
        assert row.owner is None


async def test_cancelling_while_it_is_put_on_record_as_kept_keeps_it(
    settings, sandbox, photo, tmp_path, held
):
    sandbox.faults.add("submit", faulty.finished_list())
    kept = held("mark_stored")
    job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
    async with Engine.open(settings) as engine:
        await cancel_while(kept, asyncio.create_task(engine.run(job)))
        assert states(engine) == ["stored"]
        assert (await engine.run(job)).reused
    assert job.destination.exists()


async def test_a_job_that_runs_too_long_is_kept(hasty, photo, tmp_path):
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=1)) as slow:
        job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
        async with Engine.open(replace(hasty, roots=slow.roots)) as engine:
            with pytest.raises(RemoteUpscaleError, match="still running") as caught:
                await engine.run(job)
            assert caught.value.kind == "timeout"
            assert caught.value.request_id == slow.jobs[0].request_id
            await until(lambda: slow.jobs[0].state == "done")
            [row] = engine.ledger.sync.resumable(sandbox=False)
            assert (await engine.resume(row)).path.exists()


async def test_a_place_that_cannot_be_written_is_found_before_paying(settings, sandbox, photo, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "file" / "a.png")
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError, match="cannot be written"):
            await engine.run(job)
        assert engine.ledger.sync.jobs() == []
    assert sandbox.jobs == []


async def test_names_need_not_be_utf8(settings, photo, tmp_path):
    source = photo.rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    destination = tmp_path / os.fsdecode(b"caf\xe9-out.png")
    async with Engine.open(settings) as engine:
        job = Job(model=CRYSTAL, parameters={}, source=source, destination=destination)
        assert (await engine.run(job)).path.exists()
        assert (await engine.run(job)).reused


async def test_twins_in_one_run_are_paid_for_once(settings, sandbox, photo, tmp_path):
    jobs = [
        Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / f"{index}.png")
        for index in range(5)
    ]
    async with Engine.open(settings) as engine:
        outcomes = await asyncio.gather(*map(engine.run, jobs))
    assert sorted(outcome.reused for outcome in outcomes) == [False, True, True, True, True]
    assert len({outcome.path.read_bytes() for outcome in outcomes}) == 1
    assert len(sandbox.jobs) == 1


async def test_the_result_of_another_root_is_not_taken_for_this_ones(settings, sandbox, photo, tmp_path):
    job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
    async with Engine.open(settings) as engine:
        await engine.run(job)
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=0)) as other:
        async with Engine.open(replace(settings, roots=other.roots)) as engine:
            assert not (await engine.run(job)).reused
        assert len(other.jobs) == 1


async def test_a_job_of_a_root_that_has_moved_is_asked_for_at_the_new_one(hasty, sandbox, photo, tmp_path):
    sandbox.faults.add("status", faulty.error(500), times=None)
    job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
    async with Engine.open(hasty) as engine:
        with pytest.raises(RemoteUpscaleError):
            await engine.run(job)
    sandbox.faults.clear()
    moved = hasty.roots.but(pixazo=hasty.roots.pixazo.replace("127.0.0.1", "localhost"))
    async with Engine.open(replace(hasty, roots=moved)) as engine:
        [row] = engine.ledger.sync.resumable(sandbox=False)
        assert (await engine.resume(row)).path.exists()


async def test_a_result_above_the_limit_is_not_ordered(settings, sandbox, photo, tmp_path):
    tight = replace(settings, size=replace(settings.size, pixels=5000))
    job = Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "a.png")
    async with Engine.open(tight) as engine:
        with pytest.raises(RemoteUpscaleError, match="128×80 pixels; the limit is 5,000"):
            await engine.run(job)
    assert sandbox.requests == []


async def test_alpha_that_got_lost_is_told(settings, draw, tmp_path):
    source = tmp_path / "alpha.png"
    draw((32, 24)).convert("RGBA").save(source)
    async with Engine.open(settings) as engine:
        lost = await engine.run(Job(model=FAL, parameters={}, source=source, destination=tmp_path / "a.jpg"))
        kept = await engine.run(
            Job(model=CRYSTAL, parameters={}, source=source, destination=tmp_path / "a.png")
        )
    assert lost.notes == ("The input has alpha, the result has none.",)
    assert kept.notes == ()


async def test_16_bits_that_got_lost_are_told(settings, tmp_path):
    colours, gray = tmp_path / "colours.png", tmp_path / "gray.png"
    cv2.imwrite(str(colours), np.full((24, 32, 3), 777, np.uint16))
    cv2.imwrite(str(gray), np.full((24, 32), 777, np.uint16))
    async with Engine.open(settings) as engine:
        lost = await engine.run(
            Job(model=CRYSTAL, parameters={}, source=colours, destination=tmp_path / "a.png")
        )
        kept = await engine.run(
            Job(model=CRYSTAL, parameters={}, source=gray, destination=tmp_path / "b.png")
        )
    assert lost.notes == ("The input has 16 bits for each colour, the result has 8.",)
    assert kept.notes == ()
