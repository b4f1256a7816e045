"""Every fault at every stage: the error, the submits, the charges, the ledger, and what can be done later.

The table is ``tests/support/fault_cells.py``.
"""

import asyncio
import shutil
from contextlib import suppress
from dataclasses import replace
from itertools import product

import httpx
import pytest
from fault_cells import BALANCE, BEFORE, BIG, CELLS, NEVER, STAGES
from fault_rows import AT_ONCE, INTERRUPTED, SEVERAL, Later
from faults import Do, Stage
from remote_upscale.api_clients.engine import Engine, Job
from remote_upscale.api_clients.errors import RemoteUpscaleError
from remote_upscale.api_clients.http import Http
from remote_upscale.api_clients.providers.apixo import Apixo
from remote_upscale.api_clients.providers.client import ProviderClient
from remote_upscale.api_clients.registry import find_model
from remote_upscale.api_clients.settings import TimeLimits

ROWS = {f"{stage}: {name}": (stage, row) for stage, rows in STAGES.items() for name, row in rows.items()}
LEFT_BEHIND = (Later.FETCHED, Later.GONE, Later.STUCK)


@pytest.fixture(autouse=True, scope="module")
def one_tls_context():
    """Reading the certificates for every engine would be a fifth of the time."""
    context, real = httpx.create_ssl_context(), httpx.create_ssl_context
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx, "create_ssl_context", lambda verify=context, **other: real(verify, **other))
        yield


@pytest.fixture
def patient(settings):
    """Settings under which nothing runs out of time, but large replies are refused."""
    size = replace(settings.size, reply_bytes=BIG // 2, result_bytes=BIG // 2)
    time = TimeLimits(retry=1.5, idle=20, transfer=20, cancel=20)
    return replace(settings, size=size, time=time, poll_floor=0.005)


def limited(settings, do, kind):
    """With time limits that run out where the cell is about that, and only there."""
    time = settings.time
    if do is Do.HANG:
        time = replace(time, idle=0.6, cancel=0.6)
    if kind == "timeout":
        time = replace(time, queue=0.3, run=0.3)
    return replace(settings, time=time)


@pytest.mark.parametrize(("stage", "row"), ROWS.values(), ids=ROWS)
async def test_cell(stage, row, patient, sandbox, photo, tmp_path):
    job = Job(
        model=find_model(row.model),
        parameters={"resolution": "2k"} if row.model.startswith("apixo/") else {},
        source=photo,
        destination=tmp_path / "out" / "result.img",
    )
    sandbox.delays = row.delays
    sandbox.faults.extend([BEFORE[stage]] if stage in BEFORE else [])
    sandbox.faults.add(stage, row.action, times=row.times)
    async with asyncio.timeout(20):
        settings = limited(patient, row.action.do, row.kind)
        await check_first_run(settings, sandbox, job, row)
        row = replace(row, submits=submits(sandbox, job))
        sandbox.faults.clear()
        finish_jobs(sandbox)
        settings = settings if row.later is Later.STUCK else patient
        if row.later in LEFT_BEHIND:
            copy = tmp_path / "copy"
            shutil.copytree(settings.home, copy)
            await check_resume(replace(settings, home=copy), sandbox, job, row)
        await check_second_run(settings, sandbox, job, row)


async def check_first_run(settings, sandbox, job, row):
    async with Engine.open(settings) as engine:
        if row.kind is None:
            await engine.run(job)
            check_delivered(sandbox, job)
        elif row.kind == INTERRUPTED:
            await interrupt(engine, job)
        else:
            await fails(engine.run(job), row.kind)
        if row.kind is not None:
            assert not job.destination.parent.exists() or list(job.destination.parent.iterdir()) == []
        check_charges(sandbox, engine, row.charged)
        entries = engine.ledger.sync.jobs()
    sent = submits(sandbox, job)
    assert sent > 1 if row.submits == SEVERAL else sent == row.submits
    assert [entry.state for entry in entries] == ([row.state] if row.state else [])
    if row.state == "submitted":
        assert entries[0].request_id == sandbox.jobs[0].request_id


async def check_resume(settings, sandbox, job, row):
    """`resume`, from what the first run left behind."""
    async with Engine.open(settings) as engine:
        await engine.reconcile()
        [entry] = engine.ledger.sync.resumable(sandbox=False)
        if row.later is Later.FETCHED:
            await engine.resume(entry)
            check_delivered(sandbox, job)
            job.destination.unlink()
        else:
            await fails(engine.resume(entry), "cancelled" if row.later is Later.GONE else row.kind)
        check_charges(sandbox, engine, row.charged)
    assert submits(sandbox, job) == row.submits


async def check_second_run(settings, sandbox, job, row):
    """A plain run, from what the first run left behind."""
    ordered = row.later in (Later.ORDERED, Later.GONE)
    async with Engine.open(settings) as engine:
        if row.later not in LEFT_BEHIND:
            await engine.reconcile()
            assert engine.ledger.sync.resumable(sandbox=False) == []
        if row.later in (Later.UNKNOWN, Later.STUCK):
            await fails(engine.run(job), row.kind)
        else:
            assert (await engine.run(job)).reused is not ordered
            check_delivered(sandbox, job)
            assert engine.ledger.sync.resumable(sandbox=False) == []
        check_charges(sandbox, engine, row.charged + ordered)
    assert submits(sandbox, job) == row.submits + ordered


async def interrupt(engine, job):
    run = asyncio.create_task(engine.run(job))
    while [entry.state for entry in engine.ledger.sync.jobs()] != ["submitted"]:  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(0.01)
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run
    assert run.cancelled()


async def fails(doing, kind):
    with pytest.raises(RemoteUpscaleError) as caught:
        await doing
    assert caught.value.kind == kind
    assert caught.value.hint


def finish_jobs(sandbox):
    """Let jobs that take long be over, and those to come be over at once."""
    sandbox.delays = AT_ONCE
    for job in sandbox.jobs:
        job.starts = job.ends = 0.0


def submits(sandbox, job):
    return sum(
        request.method == "POST" and request.path.endswith(job.model.endpoint) for request in sandbox.requests
    )


def check_delivered(sandbox, job):
    assert job.destination.read_bytes() == sandbox.jobs[-1].result.path.read_bytes()


def check_charges(sandbox, engine, charged):
    """No more is charged than should be, and all that is counts as spending."""
    assert sum(job.charged for job in sandbox.jobs) == charged
    assert sum(entry.may_cost for entry in engine.ledger.sync.jobs()) >= charged


@pytest.mark.parametrize("check", BALANCE.values(), ids=BALANCE)
async def test_balance_cell(check, patient, sandbox):
    sandbox.faults.add(Stage.BALANCE, check.action, times=None)
    apixo = Apixo(patient.roots)

    async def ask():
        async with Http(settings) as http:
            client = ProviderClient(apixo, settings, http)
            return (await client.ask_once(apixo.balance(), apixo.read_balance)).value

    settings = limited(patient, check.action.do, check.kind)
    async with asyncio.timeout(20):
        if check.kind is None:
            assert await ask()
        else:
            await fails(ask(), check.kind)


def test_no_cell_is_missing():
    assert CELLS.isdisjoint(NEVER)
    assert CELLS | set(NEVER) == set(product(Stage, Do))
    assert all(NEVER.values())
