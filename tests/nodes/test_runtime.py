"""Engines that outlive the loops that ask them, as ComfyUI's loops end with each prompt."""

import asyncio
import threading
from dataclasses import replace

import faults as faulty
import pytest
from remote_upscale.api_clients.engine import Job
from remote_upscale.api_clients.errors import AuthenticationFailed, Cancelled, Meaning, RemoteUpscaleError
from remote_upscale.api_clients.ledger import JobState, Ledger
from remote_upscale.api_clients.prices import Unknown
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.sandbox import Delays
from remote_upscale.api_clients.settings import Secret
from remote_upscale.nodes.runtime import Runtime

CRYSTAL = find_model("pixazo/crystal-image")


@pytest.fixture
def known(settings):
    """Settings by account."""
    return {"": settings}


@pytest.fixture
def runtime(known):
    running = Runtime(known.__getitem__)
    yield running
    running.close()


@pytest.fixture
def job(photo, tmp_path):
    return Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "out.png")


def in_a_loop_of_its_own(runtime, job, account=""):
    """As ComfyUI runs a prompt."""
    results = []

    def prompt():
        results.append(asyncio.run(runtime.run(account, job, lambda _: None)))

    thread = threading.Thread(target=prompt)
    thread.start()
    return thread, results


async def test_two_loops_join_one_job(runtime, sandbox, job, tmp_path):
    sandbox.faults.add("status", faulty.state("PROCESSING"), times=2)
    both = [
        in_a_loop_of_its_own(runtime, replace(job, destination=tmp_path / f"{name}.png")) for name in "ab"
    ]
    for thread, _ in both:
        await asyncio.to_thread(thread.join)
    outcomes = [results[0] for _, results in both]
    assert sorted(outcome.reused for outcome in outcomes) == [False, True]
    assert all(outcome.path.exists() for outcome in outcomes)
    assert len(sandbox.jobs) == 1


async def test_who_is_cancelled_is_free_at_once_and_the_provider_is_told(runtime, sandbox, photo, tmp_path):
    sandbox.faults.add("status", faulty.state("IN_PROGRESS"), times=None)
    sandbox.faults.add("cancel", faulty.slow(0.5))
    job = Job(
        model=find_model("fal/seedvr2-image"), parameters={}, source=photo, destination=tmp_path / "out.png"
    )
    task = asyncio.create_task(runtime.run("", job, lambda _: None))
    while not any(request.path.endswith("/status") for request in sandbox.requests):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(request.method == "PUT" for request in sandbox.requests)  # it has not even begun
    async with asyncio.timeout(10):
        while not any(request.path.endswith("/cancel") for request in sandbox.requests):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_changed_key_counts_from_the_next_job_on(runtime, known, settings, sandbox, job, tmp_path):
    known[""] = replace(settings, keys={})
    with pytest.raises(AuthenticationFailed):
        await runtime.run("", job, lambda _: None)
    known[""] = settings
    assert not (await runtime.run("", job, lambda _: None)).reused
    known[""] = replace(settings, keys={**settings.keys, "fal": Secret("another")})
    assert (await runtime.run("", job, lambda _: None)).reused
    assert len(sandbox.jobs) == 1


async def test_settings_that_cannot_be_used_do_no_harm_once_they_are_undone(runtime, known, settings, job):
    await runtime.run("", job, lambda _: None)
    known[""] = replace(settings, prices={"no/such": Unknown(source="a test")})
    with pytest.raises(RemoteUpscaleError):
        await runtime.run("", job, lambda _: None)
    known[""] = settings
    assert (await runtime.run("", job, lambda _: None)).reused


async def test_accounts_are_charged_by_their_own_keys(runtime, known, settings, sandbox, job, tmp_path):
    known["studio"] = replace(settings, keys={**settings.keys, "pixazo": Secret("not valid")})
    with pytest.raises(AuthenticationFailed):
        await runtime.run("studio", job, lambda _: None)
    await runtime.run("", job, lambda _: None)


def test_a_runtime_that_was_never_used_or_is_closed_closes(known):
    runtime = Runtime(known.__getitem__)
    runtime.close()
    runtime.close()


async def test_closing_lets_a_submit_come_to_its_end_and_then_cancels(runtime, settings, sandbox, photo):
    sandbox.delays = Delays(queue=0, run=600, told=False)
    sandbox.faults.add("submit", faulty.slow(0.5))
    job = Job(model=find_model("fal/seedvr2-image"), parameters={}, source=photo)
    task = asyncio.create_task(runtime.run("", job, lambda _: None))
    while not any(request.path.endswith("/upscale/image") for request in sandbox.requests):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.to_thread(runtime.close)
    with pytest.raises(Cancelled, match="being stopped"):
        await task
    assert any(request.path.endswith("/cancel") for request in sandbox.requests)
    ledger = Ledger(settings.ledger_place)
    try:
        [row] = ledger.jobs()
    finally:
        ledger.close()
    assert (row.state, row.owner) == (JobState.CANCELLED, None)
    assert row.request_id == sandbox.jobs[0].request_id


async def test_a_closed_runtime_runs_nothing(runtime, sandbox, job):
    await runtime.run("", job, lambda _: None)
    await asyncio.to_thread(runtime.close)
    with pytest.raises(Cancelled, match="being stopped") as caught:
        await runtime.run("", replace(job, reuse=False), lambda _: None)
    assert caught.value.meaning is Meaning.NOT_SENT
    assert len(sandbox.jobs) == 1


async def test_a_provider_that_does_not_answer_does_not_hold_the_end_up(runtime, settings, sandbox, photo):
    sandbox.faults.add("status", faulty.state("IN_PROGRESS"), times=None)
    sandbox.faults.add("cancel", faulty.hang(), times=None)
    job = Job(model=find_model("fal/seedvr2-image"), parameters={}, source=photo)
    task = asyncio.create_task(runtime.run("", job, lambda _: None))
    while not any(request.path.endswith("/status") for request in sandbox.requests):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.to_thread(runtime.close)
    with pytest.raises(Cancelled):
        await task
    ledger = Ledger(settings.ledger_place)
    try:
        [row] = ledger.jobs()
    finally:
        ledger.close()
    assert (row.state, row.owner) == (JobState.SUBMITTED, None)


async def test_an_engine_that_cannot_start_is_an_error_of_the_job(runtime, known, settings, tmp_path, job):
    (tmp_path / "no folder").touch()
    known["broken"] = replace(settings, home=tmp_path / "no folder" / "home")
    with pytest.raises(RemoteUpscaleError):
        await runtime.run("broken", job, lambda _: None)
    await runtime.run("", job, lambda _: None)
