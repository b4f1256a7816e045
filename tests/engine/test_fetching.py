"""A result on its way: what has arrived is not asked for again, and goes where it is wanted."""

import asyncio
import hashlib
import os
import signal
import sys
from dataclasses import replace

import faults as faulty
import numpy as np
import pytest
from PIL import Image
from remote_upscale.api_clients.engine import Engine, Job, waiting
from remote_upscale.api_clients.errors import BadResponse, RemoteUpscaleError
from remote_upscale.api_clients.registry import find_model

CRYSTAL, FAL = find_model("pixazo/crystal-image"), find_model("fal/seedvr2-image")


@pytest.fixture
def job(tmp_path):
    """A job whose result has some megabytes."""
    source = tmp_path / "in.png"
    noise = np.random.default_rng(5).integers(0, 256, (700, 700, 3), np.uint8)
    Image.fromarray(noise).save(source)
    return Job(model=CRYSTAL, parameters={}, source=source, destination=tmp_path / "out" / "a.png")


def downloads(sandbox):
    return [request for request in sandbox.requests if request.path.startswith("/results/v1/")]


async def rows(engine):
    return await engine.ledger.call(engine.ledger.sync.jobs)


async def test_without_a_destination_the_result_is_read_from_the_store(settings, sandbox, job):
    async with Engine.open(settings) as engine:
        outcome = await engine.run(replace(job, destination=None))
        assert not outcome.temporary
        assert outcome.path.is_relative_to(settings.home / "results")
        assert outcome.path.name == hashlib.sha256(outcome.path.read_bytes()).hexdigest()
        assert (outcome.format, outcome.width, outcome.height) == ("png", 1400, 1400)
        [row] = await rows(engine)
        assert (row.state, row.result_path, row.destination) == ("completed", None, None)
        again = await engine.run(replace(job, destination=None))
        assert (again.reused, again.path, again.temporary) == (True, outcome.path, False)
        delivered = await engine.run(job)
        assert delivered.reused
        assert delivered.path.read_bytes() == outcome.path.read_bytes()
    assert list((settings.home / "partial").iterdir()) == []
    assert len(sandbox.jobs) == 1


async def test_where_the_store_does_not_take_it_the_file_is_the_callers(settings, sandbox, job):
    tiny = replace(settings, size=replace(settings.size, store_bytes=10))
    async with Engine.open(tiny) as engine:
        outcome = await engine.run(replace(job, destination=None))
        assert outcome.temporary
        assert any("not kept" in note for note in outcome.notes)
        with Image.open(outcome.path) as picture:
            assert picture.size == (1400, 1400)


async def test_a_stored_result_can_be_delivered(settings, sandbox, job, tmp_path):
    async with Engine.open(settings) as engine:
        outcome = await engine.run(replace(job, destination=None))
        delivered = await engine.deliver(outcome, tmp_path / "else" / "b.png")
    assert delivered.path.read_bytes() == outcome.path.read_bytes()
    assert outcome.path.exists()


async def test_a_damaged_stored_result_is_not_handed_out(settings, sandbox, job):
    async with Engine.open(settings) as engine:
        outcome = await engine.run(replace(job, destination=None))
        content = outcome.path.read_bytes()
        outcome.path.write_bytes(content[:-20])
        again = await engine.run(replace(job, destination=None))
        assert again.reused
        assert again.path.read_bytes() == content


async def test_the_same_damaged_bytes_twice_end_the_run_and_the_job_is_kept(settings, sandbox, job):
    damaged = faulty.literal("RIFF\x14\0\0\0WEBPVP8 \x08\0\0\0damaged!", content_type="image/webp")
    sandbox.faults.add("download", damaged, times=None)
    async with Engine.open(replace(settings, time=replace(settings.time, retry=60))) as engine:
        with pytest.raises(BadResponse, match="not usable") as caught:
            async with asyncio.timeout(20):
                await engine.run(job)
        assert "same bytes came twice" in caught.value.hint
        assert caught.value.request_id == sandbox.jobs[0].request_id
        assert len(downloads(sandbox)) == 2
        [row] = await rows(engine)
        assert row.state == "submitted"


PROGRAM = """
import asyncio, sys
from pathlib import Path
from remote_upscale.api_clients.engine import Engine, Job, waiting
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.settings import Settings

async def main():
    async with Engine.open(Settings.load()) as engine:
        job = Job(model=find_model("pixazo/crystal-image"), parameters={}, source=Path(sys.argv[1]),
                  destination=Path(sys.argv[2]))
        await engine.run(job)

asyncio.run(main())
"""


async def test_a_killed_processs_download_is_continued_by_another_one(settings, sandbox, job, tmp_path):
    """Half of the result is there when the process is killed; only the other half is asked for then."""
    environment = {
        **os.environ,
        "REMOTE_UPSCALE_HOME": str(settings.home),
        "PIXAZO_API_KEY": settings.keys["pixazo"].reveal(),
        "FAL_KEY": settings.keys["fal"].reveal(),
        **{f"REMOTE_UPSCALE_{name.upper()}_URL": url for name, url in settings.roots.items()},
    }
    sandbox.faults.add("download", faulty.slow(20), times=1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(job.source), str(job.destination), env=environment
    )
    partials = settings.home / "partial"
    async with asyncio.timeout(30):
        while not any(file.suffix == ".part" and file.stat().st_size > 1 << 20 for file in _files(partials)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    [left] = [file for file in _files(partials) if file.suffix == ".part"]
    size = left.stat().st_size
    async with Engine.open(settings) as engine:
        [row] = await engine.ledger.call(engine.ledger.sync.resumable, sandbox=False)
        outcome = await engine.resume(row)
    assert downloads(sandbox)[-1].headers["range"] == f"bytes={size}-"
    assert outcome.path.read_bytes() == sandbox.jobs[0].result.path.read_bytes()
    assert list(partials.iterdir()) == []


def _files(folder):
    return list(folder.iterdir()) if folder.is_dir() else []


async def test_a_job_that_was_ordered_elsewhere_is_fetched_by_its_id(settings, sandbox, job, tmp_path):
    async with Engine.open(settings) as engine:
        first = await engine.run(replace(job, destination=None))
    other = replace(settings, home=tmp_path / "other-home")
    async with Engine.open(other) as engine:
        fetched = await engine.fetch(CRYSTAL, first.request_id)
        assert (fetched.reused, fetched.cost, fetched.request_id) == (True, 0, first.request_id)
        assert fetched.path.read_bytes() == first.path.read_bytes()
        [row] = await rows(engine)
        assert (row.state, row.cost, row.request_id) == ("completed", 0, first.request_id)
        again = await engine.fetch(CRYSTAL, first.request_id)
        assert again.path == fetched.path
        assert len(await rows(engine)) == 1
    assert len(sandbox.jobs) == 1


async def test_a_job_that_was_given_up_for_lost_can_be_fetched_by_its_id(settings, sandbox, job, monkeypatch):
    monkeypatch.setattr(waiting, "VISIBLE_AFTER", 0.0)
    sandbox.faults.add("status", faulty.error(404), times=None)
    async with Engine.open(settings) as engine:
        with pytest.raises(RemoteUpscaleError) as caught:
            await engine.run(job)
        sandbox.faults.clear()
        outcome = await engine.fetch(CRYSTAL, caught.value.request_id)
        [row] = await rows(engine)
    assert outcome.path.read_bytes() == sandbox.jobs[0].result.path.read_bytes()
    assert (row.state, row.owner) == ("completed", None)
    assert len(sandbox.jobs) == 1


async def test_a_job_that_nobody_knows_cannot_be_fetched(settings, sandbox):
    async with Engine.open(settings) as engine:
        for model in (CRYSTAL, FAL, find_model("apixo/image-upscaler")):
            with pytest.raises(RemoteUpscaleError) as caught:
                await engine.fetch(model, "no-such-job")
            assert caught.value.kind == "not_found"
        with pytest.raises(RemoteUpscaleError, match="not a request id") as caught:
            await engine.fetch(CRYSTAL, "../../etc/passwd")
        assert caught.value.kind == "invalid_parameter"
    assert sandbox.jobs == []


async def test_interrupting_a_fetch_does_not_cancel_what_others_ordered(settings, sandbox, job):
    sandbox.delays = replace(sandbox.delays, queue=60, run=60)
    async with Engine.open(settings) as engine:
        run = asyncio.create_task(engine.run(replace(job, model=FAL, destination=None)))
        async with asyncio.timeout(10):
            while not sandbox.jobs:  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.01)
            other = replace(settings, home=settings.home / "other")
            async with Engine.open(other) as elsewhere:
                fetch = asyncio.create_task(elsewhere.fetch(FAL, sandbox.jobs[0].request_id))
                while not await rows(elsewhere):  # noqa: ASYNC110 (nothing tells)
                    await asyncio.sleep(0.01)
                fetch.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await fetch
                [row] = await rows(elsewhere)
        assert sandbox.jobs[0].state != "cancelled"
        assert (row.state, row.owner) == ("submitted", None)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run


async def test_two_processes_that_miss_the_same_stored_result_fetch_it_one_after_the_other(
    settings, sandbox, job, tmp_path
):
    async with Engine.open(settings) as one, Engine.open(settings) as two:
        first = await one.run(replace(job, destination=None))
        first.path.unlink()
        sandbox.faults.add("download", faulty.slow(0.5), times=1)
        before = len(downloads(sandbox))
        outcomes = await asyncio.gather(
            one.run(replace(job, destination=None)), two.run(replace(job, destination=tmp_path / "b.png"))
        )
    assert all(outcome.reused for outcome in outcomes)
    assert outcomes[0].path.read_bytes() == outcomes[1].path.read_bytes()
    assert len(downloads(sandbox)) - before == 1
    assert len(sandbox.jobs) == 1
