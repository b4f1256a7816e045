"""What was paid for once is not paid for again, whatever became of it."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import faults as faulty
import pytest
from PIL import Image
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import RemoteUpscaleError
from remote_upscale.api_clients.prices import PerJob, Unknown
from remote_upscale.api_clients.registry import MODELS, find_model
from remote_upscale.api_clients.sandbox import Delays, Sandbox

CRYSTAL = find_model("pixazo/crystal-image")
FAL = find_model("fal/seedvr2-image")


@pytest.fixture
def job(photo, tmp_path):
    return Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "out" / "a.png")


def stored(settings):
    """The files of the result store."""
    return [path for path in (settings.home / "results").rglob("*") if path.is_file()]


async def states(engine):
    return [row.state.value for row in await asyncio.to_thread(engine.ledger.sync.jobs)]


async def fails(engine, job, kind):
    with pytest.raises(RemoteUpscaleError) as caught:
        await engine.run(job)
    assert caught.value.kind == kind, caught.value
    return caught.value


async def test_a_result_that_was_deleted_comes_from_the_store(settings, sandbox, job):
    async with Engine.open(settings) as engine:
        first = await engine.run(job)
        content = first.path.read_bytes()
        first.path.unlink()
        again = await engine.run(job)
    assert (again.reused, again.cost, again.request_id) == (True, 0, first.request_id)
    assert again.path.read_bytes() == content
    assert len(sandbox.jobs) == 1


async def test_the_same_picture_written_otherwise_is_the_same(settings, sandbox, job, tmp_path):
    other = tmp_path / "other.png"
    Image.open(job.source).save(other, compress_level=0)
    async with Engine.open(settings) as engine:
        await engine.run(job)
        again = await engine.run(replace(job, source=other, destination=tmp_path / "b.png"))
    assert again.reused
    assert len(sandbox.jobs) == 1


async def test_what_the_caller_says_of_the_content_decides(settings, sandbox, job, draw, tmp_path):
    other = tmp_path / "other.png"
    draw((50, 50)).save(other)
    async with Engine.open(settings) as engine:
        await engine.run(replace(job, content="a" * 64))
        assert (await engine.run(replace(job, source=other, content="a" * 64))).reused
        assert not (await engine.run(replace(job, content="b" * 64))).reused


async def test_a_damaged_stored_result_is_taken_from_where_it_was_delivered(settings, sandbox, job, tmp_path):
    async with Engine.open(settings) as engine:
        content = (await engine.run(job)).path.read_bytes()
        [there] = stored(settings)
        there.write_bytes(b"damaged")
        again = await engine.run(replace(job, destination=tmp_path / "b.png"))
    assert again.reused
    assert again.path.read_bytes() == content
    assert len(sandbox.jobs) == 1


async def test_a_damaged_result_is_fetched_again(settings, sandbox, job):
    async with Engine.open(settings) as engine:
        first = await engine.run(job)
        content = first.path.read_bytes()
        [there] = stored(settings)
        there.write_bytes(b"damaged")
        first.path.unlink()
        again = await engine.run(job)
        assert (again.reused, again.cost) == (True, 0)
        assert again.path.read_bytes() == content
        assert [path.read_bytes() for path in stored(settings)] == [content]
        assert await states(engine) == ["completed"]
    assert len(sandbox.jobs) == 1


async def test_a_damaged_result_that_the_provider_has_no_more_is_lost_and_told(settings, sandbox, job):
    async with Engine.open(settings) as engine:
        (await engine.run(job)).path.unlink()
        [there] = stored(settings)
        there.write_bytes(b"damaged")
        sandbox.faults.add("download", faulty.error(404), times=None)
        lost = await fails(engine, job, "result_lost")
        assert "new run" in lost.hint
        assert lost.request_id == sandbox.jobs[0].request_id
        assert await states(engine) == ["failed"]
        assert len(sandbox.jobs) == 1
        sandbox.faults.clear()
        assert not (await engine.run(job)).reused
    assert len(sandbox.jobs) == 2


async def test_a_page_of_a_proxys_makes_no_result_lost(settings, sandbox, job):
    """Whether the provider has it still is not known then: nothing is given up, and nothing ordered again."""
    async with Engine.open(replace(settings, time=replace(settings.time, retry=0.2))) as engine:
        await engine.run(job)
        job.destination.unlink()
        [kept] = stored(settings)
        kept.unlink()
        sandbox.faults.add("status", faulty.literal("<html>", content_type="text/html"), times=None)
        with pytest.raises(RemoteUpscaleError, match="not in JSON"):
            await engine.run(job)
        assert [row.state for row in engine.ledger.sync.jobs()] == ["completed"]
        sandbox.faults.clear()
        assert (await engine.run(job)).reused
    assert len(sandbox.jobs) == 1


async def test_a_result_that_is_not_kept_any_more_is_fetched_again_while_the_provider_has_it(
    settings, sandbox, job
):
    tiny = replace(settings, size=replace(settings.size, store_bytes=10))
    async with Engine.open(tiny) as engine:
        first = await engine.run(job)
        assert stored(settings) == []
        assert "not kept" in first.notes[0]
        first.path.unlink()
        assert (await engine.run(job)).reused
        assert len(sandbox.jobs) == 1
        first.path.unlink()
        sandbox.faults.add("download", faulty.error(410), times=3)  # the link, and the two fresh ones
        assert not (await engine.run(job)).reused
    assert len(sandbox.jobs) == 2


async def test_running_again_takes_up_what_was_left_behind(hasty, sandbox, job):
    sandbox.faults.add("status", faulty.error(500), times=None)
    async with Engine.open(hasty) as engine:
        await fails(engine, job, "provider_unavailable")
        sandbox.faults.clear()
        again = await engine.run(job)
        assert (again.reused, again.cost, again.request_id) == (True, 0, sandbox.jobs[0].request_id)
        assert await states(engine) == ["completed"]
    assert again.path.exists()
    assert len(sandbox.jobs) == 1


async def test_a_job_left_behind_that_failed_at_the_provider_is_ordered_anew(hasty, sandbox, job):
    sandbox.faults.add("status", faulty.error(500), times=None)
    sandbox.faults.add("run", faulty.fails("FAILED"), times=1)
    async with Engine.open(hasty) as engine:
        await fails(engine, job, "provider_unavailable")
        sandbox.faults.clear()
        assert not (await engine.run(job)).reused
        assert await states(engine) == ["completed", "failed"]
    assert len(sandbox.jobs) == 2


async def test_a_job_left_behind_whose_link_stays_dead_is_over(hasty, sandbox, job):
    sandbox.faults.add("download", faulty.error(410), times=None)
    async with Engine.open(hasty) as engine:
        await fails(engine, job, "result_lost")
        [row] = await asyncio.to_thread(engine.ledger.sync.resumable, sandbox=False)
        with pytest.raises(RemoteUpscaleError) as caught:
            await engine.resume(row)
        assert caught.value.kind == "result_lost"
        assert await states(engine) == ["failed"]
    assert len(sandbox.jobs) == 1


async def test_an_unanswered_submit_is_not_repeated_but_by_an_explicit_wish(settings, sandbox, job):
    sandbox.faults.add("submit", faulty.lost_reply(), times=1)
    async with Engine.open(settings) as engine:
        await fails(engine, job, "submission_unknown")
        for _ in range(2):
            told = await fails(engine, job, "submission_unknown")
            assert "--no-reuse" in told.hint
        assert len(sandbox.jobs) == 1
        outcome = await engine.run(replace(job, reuse=False))
        assert outcome.path.exists()
        new, old = await asyncio.to_thread(engine.ledger.sync.jobs)
        assert (old.state, new.state) == ("submission_unknown", "completed")
        assert f"{new.id}: both may be charged" in old.note
        assert old.id in new.note
        assert (await engine.run(job)).reused  # what is there counts for more than what nobody knows
    assert len(sandbox.jobs) == 2


async def test_only_what_was_never_answered_can_be_ordered_anew(settings, sandbox, job):
    sandbox.faults.add("submit", faulty.lost_reply(), times=1)
    wished = replace(job, order_unanswered=True)
    async with Engine.open(settings) as engine:
        await fails(engine, job, "submission_unknown")
        assert not (await engine.run(wished)).reused
        new, old = await asyncio.to_thread(engine.ledger.sync.jobs)
        assert f"{new.id}: both may be charged" in old.note
        assert old.id in new.note
        assert (await engine.run(wished)).reused
    assert len(sandbox.jobs) == 2


async def test_a_result_that_could_not_be_delivered_is_kept_and_delivered_later(settings, sandbox, job):
    folder = job.destination.parent
    async with Engine.open(settings) as engine:

        def obstruct(progress):
            if progress.stage == "fetching" and progress.fraction == 1.0:
                job.destination.mkdir(parents=True, exist_ok=True)

        with pytest.raises(RemoteUpscaleError, match="is a folder") as caught:
            await engine.run(job, obstruct)
        assert "kept" in caught.value.hint
        assert await states(engine) == ["stored"]
        job.destination.rmdir()
        sandbox.faults.add("status", faulty.error(500), times=None)  # nobody has to be asked
        [row] = await asyncio.to_thread(engine.ledger.sync.resumable, sandbox=False)
        outcome = await engine.resume(row)
        assert outcome.path.exists()
        assert await states(engine) == ["completed"]
    assert [path.name for path in folder.iterdir()] == ["a.png"]
    assert len(sandbox.jobs) == 1


async def test_eviction_never_takes_what_was_not_delivered(settings, sandbox, job, draw, tmp_path):
    async with Engine.open(settings) as engine:

        def obstruct(progress):
            if progress.stage == "fetching" and progress.fraction == 1.0:
                job.destination.mkdir(parents=True, exist_ok=True)

        with pytest.raises(RemoteUpscaleError):
            await engine.run(job, obstruct)
        [waiting] = stored(settings)
    tight = replace(settings, size=replace(settings.size, store_bytes=waiting.stat().st_size + 100))
    async with Engine.open(tight) as engine:
        for index in range(3):
            source = tmp_path / f"in{index}.png"
            draw((60 + index, 40)).save(source)
            await engine.run(replace(job, source=source, destination=tmp_path / f"{index}.png"))
        assert stored(settings) == [waiting]


async def test_two_processes_share_one_job(settings, job, tmp_path):
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=0.4)) as slow:
        at = replace(settings, roots=slow.roots)
        async with Engine.open(at) as one, Engine.open(at) as two:
            told = []
            outcomes = await asyncio.gather(
                one.run(job), two.run(replace(job, destination=tmp_path / "b.png"), told.append)
            )
        assert len(slow.jobs) == 1
    assert sorted(outcome.reused for outcome in outcomes) == [False, True]
    assert outcomes[0].path.read_bytes() == outcomes[1].path.read_bytes()


async def test_who_waits_for_anothers_job_takes_it_over_when_that_one_gives_up(settings, job, tmp_path):
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=1)) as slow:
        at = replace(settings, roots=slow.roots)
        async with Engine.open(at) as one, Engine.open(at) as two:
            first = asyncio.create_task(one.run(job))
            async with asyncio.timeout(10):
                while await states(one) != ["submitted"]:  # noqa: ASYNC110 (nothing tells)
                    await asyncio.sleep(0.02)
            second = asyncio.create_task(two.run(replace(job, destination=tmp_path / "b.png")))
            await asyncio.sleep(0.1)
            first.cancel()
            outcome = await second
        assert outcome.reused
        assert len(slow.jobs) == 1
    assert first.cancelled()


async def test_the_limit_of_jobs_holds_over_processes(settings, job, draw, tmp_path):
    most = 0
    async with Sandbox(MODELS.values(), delays=Delays(queue=0, run=0.2)) as slow:

        def watch(_progress):
            nonlocal most
            most = max(most, sum(job.state not in ("done", "failed") for job in slow.jobs))

        at = replace(settings, roots=slow.roots, at_once=2)
        jobs = []
        for index in range(6):
            source = tmp_path / f"in{index}.png"
            draw((60 + index, 40)).save(source)
            jobs.append(replace(job, source=source, destination=tmp_path / f"{index}.png"))
        async with Engine.open(at) as one, Engine.open(at) as two:
            runs = [(one if index % 2 else two).run(job, watch) for index, job in enumerate(jobs)]
            await asyncio.gather(*runs)
        assert len(slow.jobs) == 6
    assert 1 <= most <= 2


async def test_the_budget_is_held_by_all_processes_together(settings, sandbox, job, draw, tmp_path):
    capped = replace(
        settings, budget=Decimal("0.25"), prices={CRYSTAL.id: PerJob(Decimal("0.1"), source="test")}
    )
    jobs = []
    for index in range(4):
        source = tmp_path / f"in{index}.png"
        draw((60 + index, 40)).save(source)
        jobs.append(replace(job, source=source, destination=tmp_path / f"{index}.png"))
    async with Engine.open(capped) as one, Engine.open(capped) as two:
        runs = [(one if index % 2 else two).run(job) for index, job in enumerate(jobs)]
        results = await asyncio.gather(*runs, return_exceptions=True)
        kinds = [result.kind for result in results if isinstance(result, RemoteUpscaleError)]
        assert kinds == ["budget", "budget"]
        done = next(
            job for job, result in zip(jobs, results, strict=True) if not isinstance(result, Exception)
        )
        assert (await one.run(done)).reused  # what is there costs nothing
    async with Engine.open(capped) as later:
        await fails(later, next(j for j in jobs if not j.destination.exists()), "budget")
    assert len(sandbox.jobs) == 2


async def test_an_unknown_price_is_refused_under_a_budget_unless_allowed_by_name(settings, sandbox, job):
    capped = replace(settings, budget=Decimal(1), prices={CRYSTAL.id: Unknown(source="nobody")})
    async with Engine.open(capped) as engine:
        await fails(engine, job, "budget")
    assert sandbox.requests == []
    async with Engine.open(replace(capped, unpriced=frozenset({CRYSTAL.id}))) as engine:
        assert (await engine.run(job)).cost is None


async def test_a_price_for_a_model_that_does_not_exist_is_told(settings):
    wrong = replace(settings, prices={"pixazo/crystal": PerJob(Decimal(1), source="test")})
    with pytest.raises(RemoteUpscaleError, match="no model pixazo/crystal"):
        async with Engine.open(wrong):
            pass


async def test_a_ledger_that_fails_after_the_submit_does_not_cost_the_result(
    settings, sandbox, job, caplog, monkeypatch
):
    async with Engine.open(settings) as engine:
        database = engine.ledger.sync.database.engine

        def break_it(_progress=None):
            if sandbox.jobs:
                with database.begin() as connection:
                    connection.exec_driver_sql(
                        "CREATE TRIGGER full BEFORE UPDATE ON jobs BEGIN "
                        "SELECT RAISE(ABORT, 'database or disk is full'); END"
                    )

        sandbox.faults.add("submit", faulty.slow(0.3), times=1)
        task = asyncio.create_task(engine.run(job))
        async with asyncio.timeout(10):
            while not sandbox.jobs:  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.01)
        await asyncio.to_thread(break_it)
        outcome = await task
        assert outcome.path.exists()
        assert any("disk is full" in note for note in outcome.notes)
    assert sandbox.jobs[0].request_id in caplog.text
