"""A process that is stopped tells the providers and settles its jobs before it ends."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import faults as faulty
import pytest
from remote_upscale.api_clients.ledger import JobState, Ledger
from remote_upscale.api_clients.sandbox import Delays

PROGRAM = Path(__file__).parents[1] / "support" / "runtime_process.py"


@pytest.fixture
def environment(settings):
    own = {name: value for name, value in os.environ.items() if not name.startswith("REMOTE_UPSCALE_")}
    for name in ("fal_queue", "fal_rest", "fal_cdn", "fal_api"):
        own[f"REMOTE_UPSCALE_{name.upper()}_URL"] = getattr(settings.roots, name)
    return own | {"FAL_KEY": settings.keys["fal"].reveal()}


@pytest.fixture
async def process(sandbox, settings, photo, environment):
    """One whose job is running at the provider."""
    sandbox.delays = Delays(queue=0, run=600, told=False)
    started = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, photo, settings.home, stdout=asyncio.subprocess.PIPE, env=environment
    )
    assert await started.stdout.readline() == b"running\n"
    yield started
    if started.returncode is None:
        started.kill()
    await started.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
async def test_a_stopped_process_settles_its_job(process, sandbox, settings, number):
    process.send_signal(number)
    printed, _ = await process.communicate()
    assert process.returncode == (0 if number == signal.SIGINT else -number)
    assert any(request.path.endswith("/cancel") for request in sandbox.requests)
    ledger = Ledger(settings.ledger_place)
    try:
        [row] = ledger.jobs()
    finally:
        ledger.close()
    assert (row.state, row.owner) == (JobState.CANCELLED, None)
    assert row.request_id == sandbox.jobs[0].request_id
    assert b"Traceback" not in printed


async def test_a_second_sigterm_ends_it_at_once(process, sandbox):
    sandbox.faults.add("cancel", faulty.hang(accepted=True))
    process.send_signal(signal.SIGTERM)
    while not any(request.path.endswith("/cancel") for request in sandbox.requests):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == -signal.SIGTERM
