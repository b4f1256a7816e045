import asyncio

import pytest
from remote_upscale.api_clients.hosting.single_flight import SingleFlight


class Work:
    """Something that takes until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.runs = 0
        self.cancelled = 0

    async def __call__(self, tell) -> int:
        self.runs += 1
        number = self.runs
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        tell(1, 1)
        return number


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_who_ask_at_once_share_one_run_and_its_progress():
    flights, work, told = SingleFlight[int](), Work(), []
    tasks = [asyncio.create_task(flights.run("a", work, lambda *a, n=n: told.append(n))) for n in range(3)]
    await settle()
    work.go.set()
    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert told == [0, 1, 2]


async def test_one_who_leaves_does_not_end_it_for_the_others():
    flights, work, told = SingleFlight[int](), Work(), []
    first = asyncio.create_task(flights.run("a", work, lambda *a: told.append("first")))
    second = asyncio.create_task(flights.run("a", work))
    await settle()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.go.set()
    assert await second == 1
    assert told == []
    assert work.cancelled == 0


async def test_the_last_one_who_leaves_ends_it():
    flights, work = SingleFlight[int](), Work()
    tasks = [asyncio.create_task(flights.run("a", work)) for _ in range(2)]
    await settle()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert work.cancelled == 1
    work.go.set()
    assert await flights.run("a", work) == 2


async def test_a_failure_reaches_all_and_is_not_kept():
    flights = SingleFlight[int]()
    outcomes = iter([KeyError("bad"), None])

    async def work(tell) -> int:
        await asyncio.sleep(0)
        error = next(outcomes)
        if error:
            raise error
        return 7

    both = await asyncio.gather(flights.run("a", work), flights.run("a", work), return_exceptions=True)
    assert [type(outcome) for outcome in both] == [KeyError, KeyError]
    assert await flights.run("a", work) == 7


async def test_other_keys_run_for_themselves():
    flights, work = SingleFlight[int](), Work()
    work.go.set()
    assert sorted(await asyncio.gather(flights.run("a", work), flights.run("b", work))) == [1, 2]


async def test_a_listener_that_raises_harms_neither_the_work_nor_the_others(caplog):
    flights, work, told = SingleFlight[int](), Work(), []

    def fail(done: int, total: int | None) -> None:
        raise KeyError("of the listener")

    tasks = [asyncio.create_task(flights.run("a", work, tell)) for tell in (fail, lambda *a: told.append(a))]
    await settle()
    work.go.set()
    assert await asyncio.gather(*tasks) == [1, 1]
    assert told == [(1, 1)]
    assert "of the listener" in caplog.text
