"""When the ledger, the store, the disk or the clock fails: a clear word, no lost id or result, no hang."""

import asyncio
import os
import shutil
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import faults as faulty
import pytest
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import RemoteUpscaleError, StorageFailed
from remote_upscale.api_clients.ledger import steps, store
from remote_upscale.api_clients.registry import find_model

CRYSTAL = find_model("pixazo/crystal-image")


@pytest.fixture(autouse=True)
async def no_hang():
    async with asyncio.timeout(30):
        yield


@pytest.fixture
def job(photo, tmp_path):
    return Job(model=CRYSTAL, parameters={}, source=photo, destination=tmp_path / "out" / "a.png")


@pytest.fixture
def impatient(monkeypatch):
    """Ledgers that do not wait long for other writers."""
    real = store.Database
    monkeypatch.setattr(store, "Database", lambda place, *, patience: real(place, patience=0.1))


@contextmanager
def locked(path):
    database = sqlite3.connect(path, check_same_thread=False)
    database.execute("BEGIN IMMEDIATE")
    yield
    database.close()


async def after_the_submit(engine, sandbox, job, trouble):
    """Run a job, with the trouble beginning when the provider has accepted it."""
    sandbox.faults.add("submit", faulty.slow(0.3), times=1)
    run = asyncio.create_task(engine.run(job))
    while not sandbox.jobs:  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(0.01)
    trouble()
    return await run


def full(path):
    """No page more: what SQLite says when the disk is full."""
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    )
    database.close()


def damaged(path):
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (path.stat().st_size - 100))
    for companion in path.parent.glob(f"{path.name}-*"):
        with companion.open("r+b") as file:
            file.write(b"\xff" * companion.stat().st_size)


def removed(path):
    path.unlink()


@pytest.mark.parametrize("trouble", [full, damaged, removed])
async def test_a_ledger_that_breaks_in_the_middle_costs_a_warning_but_not_the_result(
    settings, sandbox, job, caplog, trouble
):
    path = settings.home / "ledger.sqlite"
    async with Engine.open(settings) as engine:
        outcome = await after_the_submit(engine, sandbox, job, lambda: trouble(path))
        assert outcome.path.exists()
        assert any("could not be recorded" in note for note in outcome.notes)
        assert sandbox.jobs[0].request_id in caplog.text
        other = replace(job, parameters={"scale_factor": 4})
        if trouble is not full:  # where nothing can be written down, nothing is sent
            with pytest.raises(StorageFailed, match="cannot be used"):
                await engine.run(other)
            assert len(sandbox.jobs) == 1


async def test_a_ledger_that_another_process_keeps_locked_for_a_while_is_waited_for(settings, sandbox, job):
    path = settings.home / "ledger.sqlite"
    async with Engine.open(settings) as engine:
        with locked(path):
            run = asyncio.create_task(engine.run(job))
            await asyncio.sleep(0.5)
            assert not run.done()
        outcome = await run
    assert outcome.notes == ()


async def test_a_ledger_that_stays_locked_is_told_before_anything_is_sent(settings, sandbox, job, impatient):
    async with Engine.open(settings) as engine:
        with locked(settings.home / "ledger.sqlite"), pytest.raises(StorageFailed, match="locked"):
            await engine.run(job)
        assert sandbox.jobs == []
        assert (await engine.run(job)).path.exists()


async def test_a_ledger_that_is_locked_after_the_submit_costs_no_result(
    settings, sandbox, job, impatient, caplog
):
    locks = []

    def trouble():
        lock = locked(settings.home / "ledger.sqlite")
        lock.__enter__()
        locks.append(lock)

    async with Engine.open(settings) as engine:
        outcome = await after_the_submit(engine, sandbox, job, trouble)
        assert outcome.path.exists()
        assert sandbox.jobs[0].request_id in caplog.text
        locks[0].__exit__(None, None, None)
    async with Engine.open(settings) as engine:  # the ledger was not told: it may be charged
        assert [row.state for row in await asyncio.to_thread(engine.ledger.sync.jobs)] == [
            "submission_unknown"
        ]


async def test_a_process_that_could_not_tell_how_a_job_ended_does_not_wait_for_itself(
    settings, sandbox, job, impatient
):
    async with Engine.open(settings) as engine:
        lock = locked(settings.home / "ledger.sqlite")
        await after_the_submit(engine, sandbox, job, lock.__enter__)
        lock.__exit__(None, None, None)
        with pytest.raises(RemoteUpscaleError, match="never answered"):
            await engine.run(job)
    assert len(sandbox.jobs) == 1


async def test_a_store_that_is_gone_is_made_anew(settings, sandbox, job, tmp_path):
    async with Engine.open(settings) as engine:
        await engine.run(job)
        shutil.rmtree(settings.home / "results")
        again = await engine.run(replace(job, destination=tmp_path / "b.png"))
        assert again.reused  # from where it was delivered
        await engine.run(replace(job, parameters={"scale_factor": 4}))
    assert len([path for path in (settings.home / "results").rglob("*") if path.is_file()]) == 1


async def test_a_store_that_cannot_be_written_costs_a_note_but_not_the_result(settings, sandbox, job):
    settings.home.mkdir()
    (settings.home / "results").write_text("in the way")
    async with Engine.open(settings) as engine:
        outcome = await engine.run(job)
        assert "not kept" in outcome.notes[0]
        [row] = await asyncio.to_thread(engine.ledger.sync.jobs)
        assert (row.state, row.stored) == ("completed", None)
        assert (await engine.run(job)).reused
    assert len(sandbox.jobs) == 1


async def test_a_store_that_cannot_be_reached_is_no_reason_to_pay_again(settings, sandbox, job, monkeypatch):
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "z"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    away = replace(settings, results_url="s3://bucket/x", time=replace(settings.time, retry=0.2, idle=1))
    async with Engine.open(away) as engine:
        first = await engine.run(job)
        assert "not kept" in first.notes[0]
        first.path.unlink()
        with pytest.raises(RemoteUpscaleError, match="result store"):
            await engine.run(job)
    assert len(sandbox.jobs) == 1


async def test_a_clock_that_is_set_back_changes_nothing(settings, sandbox, job, monkeypatch):
    async with Engine.open(settings) as engine:
        await engine.run(job)
        back = timedelta(days=40)
        now, nanoseconds = datetime.now(UTC) - back, time.time_ns() - int(back.total_seconds() * 1e9)
        monkeypatch.setattr(steps, "now", lambda: now)
        monkeypatch.setattr(store, "now", lambda: now)
        monkeypatch.setattr(time, "time_ns", lambda: nanoseconds)
        await engine.run(replace(job, parameters={"scale_factor": 4}))
        rows = await asyncio.to_thread(engine.ledger.sync.jobs)
        assert [row.parameters["scale_factor"] for row in rows] == [4, 2]  # the newest is still the first
        assert (await engine.run(job)).reused
    assert len(sandbox.jobs) == 2


@pytest.mark.parametrize("where", ["home", "destination"])
async def test_a_folder_that_is_a_file_is_told_before_anything_is_sent(
    settings, sandbox, job, tmp_path, where
):
    (tmp_path / "file").write_text("")
    if where == "home":
        with pytest.raises(StorageFailed, match="ledger"):
            async with Engine.open(replace(settings, home=tmp_path / "file")):
                pass
    else:
        async with Engine.open(settings) as engine:
            with pytest.raises(RemoteUpscaleError, match="cannot be written"):
                await engine.run(replace(job, destination=tmp_path / "file" / "a.png"))
    assert sandbox.requests == []


async def test_a_full_disk_while_the_result_arrives_keeps_the_job(settings, sandbox, job):
    """``/dev/full`` takes the place of the file that the download goes into."""
    if not os.path.exists("/dev/full"):  # noqa: ASYNC240, PTH110 (it is at hand)
        pytest.skip("this system has no /dev/full")
    partials = settings.home / "partial"
    async with Engine.open(settings) as engine:

        def swap(progress):
            for driven in engine.services.driven:
                if progress.stage == "queued" and not (partials / f"{driven}.part").is_symlink():
                    (partials / f"{driven}.part").symlink_to("/dev/full")

        with pytest.raises(StorageFailed, match="disk is full") as caught:
            await engine.run(job, swap)
        assert caught.value.request_id == sandbox.jobs[0].request_id
        [link] = partials.glob("*.part")
        link.unlink()
        assert (await engine.run(job)).reused
    assert len(sandbox.jobs) == 1
