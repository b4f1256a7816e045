"""When a job is looked at, and what is believed of what is seen."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import faults as faulty
import pytest
from remote_upscale.api_clients.engine import Engine, Job, Stage, waiting
from remote_upscale.api_clients.engine.waiting import Polling, WaitStrategy
from remote_upscale.api_clients.errors import NotFound, RemoteUpscaleError, TimedOut
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.sandbox import Delays

PIXAZO, APIXO, FAL = "pixazo/crystal-image", "apixo/image-upscaler", "fal/seedvr2-image"
PROXY_404 = faulty.literal("<html><h1>404 Not Found</h1></html>", status=404, content_type="text/html")
GATEWAY_404 = faulty.literal('{"message": "no Route matched with those values"}', status=404)


@pytest.fixture
def job(photo, tmp_path):
    def job(model, **more):
        fast = replace(find_model(model), first_poll=0.02)
        parameters = {"resolution": "2k"} if model == APIXO else {}
        return Job(model=fast, parameters=parameters, source=photo, destination=tmp_path / "out.img", **more)

    return job


@pytest.fixture
def long_visible(monkeypatch):
    """Jobs count as visible at their providers from the first moment on."""
    monkeypatch.setattr(waiting, "VISIBLE_AFTER", 0.0)


async def only_row(engine):
    [row] = await engine.ledger.call(engine.ledger.sync.jobs)
    return row


@pytest.mark.parametrize("model", [PIXAZO, APIXO, FAL])
@pytest.mark.parametrize("page", [PROXY_404, GATEWAY_404], ids=["html", "foreign json"])
@pytest.mark.parametrize("stage", ["status", "result"])
async def test_a_proxys_not_found_is_no_word_of_the_provider(
    settings, sandbox, job, model, page, stage, long_visible
):
    if stage == "result" and model != FAL:
        pytest.skip("its result comes with the status")
    sandbox.faults.add(stage, page, times=3)
    async with Engine.open(settings) as engine:
        outcome = await engine.run(job(model))
    assert outcome.path.exists()
    assert len(sandbox.jobs) == 1


@pytest.mark.parametrize("model", [PIXAZO, APIXO, FAL])
async def test_a_proxy_that_stays_leaves_the_job_resumable(hasty, sandbox, job, model, long_visible):
    sandbox.faults.add("status", PROXY_404, times=None)
    async with Engine.open(hasty) as engine:
        with pytest.raises(RemoteUpscaleError) as caught:
            await engine.run(job(model))
        assert caught.value.request_id == sandbox.jobs[0].request_id
        assert "remote-upscale resume" in caught.value.hint
        assert (await only_row(engine)).state == "submitted"
        sandbox.faults.clear()
        assert (await engine.run(job(model))).reused
    assert len(sandbox.jobs) == 1


@pytest.mark.parametrize("model", [PIXAZO, APIXO, FAL])
async def test_one_not_found_in_the_providers_own_words_is_not_believed_and_a_second_is(
    settings, sandbox, job, model, long_visible
):
    sandbox.delays = Delays(queue=0, run=0.3)
    sandbox.faults.add("status", faulty.error(404), times=1)
    async with Engine.open(settings) as engine:
        assert (await engine.run(job(model))).path.exists()
        sandbox.faults.add("status", faulty.error(404), times=None)
        with pytest.raises(NotFound):
            await engine.run(replace(job(model), reuse=False))
        states = [row.state for row in await engine.ledger.call(engine.ledger.sync.jobs)]
    assert states == ["failed", "completed"]


async def test_the_grace_of_a_fresh_job_counts_from_its_submit(settings, sandbox, job, monkeypatch):
    """A resumed job that was submitted long ago is believed to be gone; a fresh one is asked for again."""
    sandbox.delays = Delays(queue=0, run=0.3)
    sandbox.faults.add("status", faulty.error(404), times=5)
    async with Engine.open(settings) as engine:
        assert (await engine.run(job(PIXAZO))).path.exists()  # fresh: five such answers mean nothing
        sandbox.faults.add("status", faulty.state("PROCESSING"), times=None)
        with pytest.raises(TimedOut):
            await engine.run(replace(job(PIXAZO), reuse=False, time_limit=0.1))
        sandbox.faults.clear()
        sandbox.faults.add("status", faulty.error(404), times=None)
        monkeypatch.setattr(waiting, "VISIBLE_AFTER", 0.05)
        [row] = await engine.ledger.call(engine.ledger.sync.resumable, sandbox=False)
        with pytest.raises(NotFound):
            await engine.resume(row)


async def test_a_long_retry_after_delays_the_next_question_and_ends_nothing(settings, sandbox, job):
    """The provider asks for a longer wait than is spent on trying again; the job's own limit counts."""
    asked = 1.0
    short = replace(settings, time=replace(settings.time, retry=0.2, run=30))
    sandbox.faults.add("status", faulty.error(429, retry_after=asked), times=1)
    async with Engine.open(short) as engine:
        began = time.monotonic()
        assert (await engine.run(job(FAL))).path.exists()
    assert time.monotonic() - began >= asked
    assert sum(request.path.endswith("/status") for request in sandbox.requests) == 2


@pytest.mark.parametrize("stage", ["result", "download"])
async def test_a_long_retry_after_is_heard_by_the_later_steps_too(settings, sandbox, job, stage):
    short = replace(settings, time=replace(settings.time, retry=0.2))
    sandbox.faults.add(stage, faulty.error(429, retry_after=1), times=1)
    async with Engine.open(short) as engine:
        assert (await engine.run(job(FAL))).path.exists()
    assert len(sandbox.jobs) == 1


async def test_a_model_that_is_taken_off_says_nothing_of_its_jobs(settings, sandbox, job, long_visible):
    gone = '{"error": "Model not found", "message": "Model upscaler not found or is disabled"}'
    sandbox.faults.add("status", faulty.literal(gone, status=400), times=3)
    async with Engine.open(settings) as engine:
        assert (await engine.run(job(PIXAZO))).path.exists()
    assert len(sandbox.jobs) == 1


@pytest.mark.parametrize("model", [PIXAZO, APIXO, FAL])
async def test_a_proxys_page_that_answers_a_submit_is_not_followed_by_another(settings, sandbox, job, model):
    """It comes of a provider that is away, and as well of one that broke off when it had the request."""
    page = faulty.literal("<html>503 Service Unavailable</html>", status=503, content_type="text/html")
    sandbox.faults.add("submit", page, times=1)
    sandbox.faults.add("find", faulty.error(403), times=None)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError) as caught:
            await engine.run(job(model))
    assert caught.value.kind == "submission_unknown"
    assert sandbox.jobs == []


class Listening(WaitStrategy):
    """Wakes when it is told to, and says what it was asked."""

    def __init__(self):
        self.rings = asyncio.Queue()
        self.watched, self.left = [], []

    @asynccontextmanager
    async def watch(self, job, settings):
        self.watched.append(job.handle.request_id)
        try:
            yield self
        finally:
            self.left.append(job.handle.request_id)

    async def wake(self, last):
        await self.rings.get()


async def test_a_strategy_from_outside_wakes_whoever_waits(settings, sandbox, job):
    ear = Listening()
    slow = replace(find_model(PIXAZO), first_poll=1000)
    async with Engine.open(settings, strategies=(Polling(), ear)) as engine:
        run = asyncio.create_task(engine.run(replace(job(PIXAZO), model=slow)))
        ear.rings.put_nowait("done")
        async with asyncio.timeout(10):
            assert (await run).path.exists()
    assert ear.watched == ear.left == [sandbox.jobs[0].request_id]


async def test_a_strategy_that_lies_costs_requests_but_no_more_than_one_in_a_floor(settings, sandbox, job):
    class Lying(Listening):
        async def wake(self, last):
            return

    sandbox.delays = Delays(queue=0, run=0.3)
    patient = replace(settings, poll_floor=0.1)
    async with Engine.open(patient, strategies=(Lying(),)) as engine:
        assert (await engine.run(job(PIXAZO))).path.exists()
    asked = sum("/requests/status/" in request.path for request in sandbox.requests)
    assert asked <= 6


async def test_a_strategy_that_hears_nothing_is_left_when_the_schedule_is_quicker(settings, sandbox, job):
    ear = Listening()
    async with Engine.open(settings, strategies=(ear, Polling())) as engine:
        assert (await engine.run(job(PIXAZO))).path.exists()
    assert ear.left == ear.watched


async def test_a_watcher_that_raises_is_logged_and_harms_nothing(settings, sandbox, job, caplog):
    def watch(progress):
        raise OSError(f"nobody can write down {progress.stage}")

    async with Engine.open(settings) as engine:
        assert (await engine.run(job(FAL), watch)).path.exists()
    assert len(sandbox.jobs) == 1
    for stage in (Stage.HOSTING, Stage.QUEUED, Stage.FETCHING):
        assert f"nobody can write down {stage}" in caplog.text
