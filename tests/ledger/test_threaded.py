"""The ledger in a thread of its own."""

import asyncio
import threading

import pytest
from ledger_steps import HANDLE, intent
from remote_upscale.api_clients.errors import StorageFailed
from remote_upscale.api_clients.ledger import JobState, Ledger, LedgerMisuse
from remote_upscale.api_clients.ledger.threaded import AsyncLedger


@pytest.fixture
async def ledger(path):
    ledger = AsyncLedger(Ledger(path))
    yield ledger
    await ledger.close()


class Gate:
    """A step that waits until it is let through."""

    def __init__(self):
        self._open = threading.Event()
        self._reached = threading.Event()
        self.done = False

    def __call__(self, answer=None):
        self._reached.set()
        assert self._open.wait(30)
        self.done = True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def open(self):
        self._open.set()

    async def reached(self):
        assert await asyncio.to_thread(self._reached.wait, 30)


async def turns():
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_calls_run_and_answer(ledger):
    job = ledger.sync.new_id()
    assert await ledger.call(ledger.sync.insert_pending, intent(), job=job) is None
    await ledger.call(ledger.sync.mark_submitting, job, link="l")
    await ledger.call(ledger.sync.mark_submitted, job, HANDLE)
    row = await ledger.call(ledger.sync.get, job)
    assert row.state is JobState.SUBMITTED


async def test_what_a_call_raises_comes_through(ledger):
    with pytest.raises(StorageFailed, match="The disk is full"):
        await ledger.call(_raise, StorageFailed("The disk is full."))
    assert await ledger.call(ledger.sync.jobs) == []


def _raise(error):
    raise error


async def test_calls_run_one_after_another_in_a_thread_of_their_own(ledger):
    gate, seen = Gate(), []

    def note(number):
        seen.append((number, threading.current_thread().name))

    first = asyncio.create_task(ledger.call(gate))
    await gate.reached()
    others = [asyncio.create_task(ledger.call(note, number)) for number in range(5)]
    await turns()
    assert seen == []
    gate.open()
    await asyncio.gather(first, *others)
    assert [number for number, _ in seen] == [0, 1, 2, 3, 4]
    assert len({name for _, name in seen}) == 1
    assert threading.current_thread().name not in {name for _, name in seen}


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("answer", ["an answer", StorageFailed("It failed.")])
async def test_who_is_cancelled_waits_for_the_call(ledger, times, answer):
    gate = Gate()
    task = asyncio.create_task(ledger.call(gate, answer))
    await gate.reached()
    for _ in range(times):
        task.cancel()
        await turns()
        assert not task.done()
        assert not gate.done
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert gate.done


async def test_a_call_that_has_not_begun_is_carried_out_all_the_same(ledger):
    """It may be the one that settles a job."""
    gate, job = Gate(), ledger.sync.new_id()
    first = asyncio.create_task(ledger.call(gate))
    await gate.reached()
    second = asyncio.create_task(ledger.call(ledger.sync.insert_pending, intent(), job=job))
    await turns()
    second.cancel()
    await turns()
    assert not second.done()
    gate.open()
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    assert (await ledger.call(ledger.sync.get, job)).state is JobState.PREPARED


async def test_a_time_limit_still_is_one(ledger):
    gate = Gate()

    async def limited():
        async with asyncio.timeout(0):
            await ledger.call(gate)

    task = asyncio.create_task(limited())
    await gate.reached()
    gate.open()
    with pytest.raises(TimeoutError):
        await task


async def test_closing_waits_for_the_calls_before(path):
    ledger, gate = AsyncLedger(Ledger(path)), Gate()
    job = ledger.sync.new_id()
    calls = [
        asyncio.create_task(ledger.call(gate)),
        asyncio.create_task(ledger.call(ledger.sync.insert_pending, intent(), job=job)),
    ]
    await gate.reached()
    closing = asyncio.create_task(ledger.close())
    await turns()
    assert not closing.done()
    gate.open()
    await asyncio.gather(*calls, closing)
    with pytest.raises(LedgerMisuse):
        await ledger.call(ledger.sync.jobs)
    again = Ledger(path)
    assert again.get(job).state is JobState.CANCELLED, "it was entered, and then left"
    again.close()
