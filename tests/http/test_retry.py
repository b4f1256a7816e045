import time

import pytest
import stamina
from remote_upscale.api_clients.errors import (
    BadResponse,
    Meaning,
    ProviderUnavailable,
    RateLimited,
    RemoteUpscaleError,
)
from remote_upscale.api_clients.hosting.fal_errors import Refused
from remote_upscale.api_clients.http.retry import RetryBudget
from remote_upscale.api_clients.settings import TimeLimits

PASSING = ProviderUnavailable("away", meaning=Meaning.UNKNOWN)
UNSENT = ProviderUnavailable("away", meaning=Meaning.TRY_AGAIN)
FINAL = BadResponse("wrong")
REFUSED = BadResponse("wrong", meaning=Meaning.REFUSED)


@pytest.fixture
def at_once():
    """No waiting, and at most three attempts."""
    with stamina.set_testing(True, attempts=3):
        yield


async def attempts(error: Exception, *, submit: bool = False) -> int:
    count = 0

    async def fail() -> None:
        nonlocal count
        async for attempt in RetryBudget(TimeLimits(), submit=submit):
            with attempt:
                count += 1
                raise error

    with pytest.raises(type(error)) as caught:
        await fail()
    assert caught.value is error
    return count


@pytest.mark.parametrize(("error", "expected"), [(PASSING, 3), (UNSENT, 3), (FINAL, 1), (REFUSED, 1)])
async def test_only_what_passes_is_tried_again(at_once, error, expected):
    assert await attempts(error) == expected


@pytest.mark.parametrize(("error", "expected"), [(PASSING, 1), (UNSENT, 3), (FINAL, 1), (REFUSED, 1)])
async def test_a_submit_is_tried_again_only_if_it_certainly_was_not_accepted(at_once, error, expected):
    assert await attempts(error, submit=True) == expected


async def test_a_foreign_error_comes_through_at_once(at_once):
    assert await attempts(KeyError("bug")) == 1


async def test_success_after_a_failure(at_once):
    outcomes = iter([PASSING, PASSING])
    async for attempt in RetryBudget(TimeLimits()):
        with attempt:
            error = next(outcomes, None)
            if error is not None:
                raise error
    assert attempt.num == 3


class Clock:
    """A time that only waiting moves, and what was waited."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        monkeypatch.setattr("asyncio.sleep", self.sleep)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    async def sleep(self, delay: float) -> None:
        self.slept.append(delay)
        self.now += delay


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


async def waits(error: RemoteUpscaleError, budget: RetryBudget, clock: Clock) -> list[float]:
    """The waits between attempts that all fail."""

    async def fail() -> None:
        async for attempt in budget:
            with attempt:
                raise error

    clock.slept.clear()
    with pytest.raises(type(error)) as caught:
        await fail()
    assert caught.value is error
    return clock.slept


async def test_retry_after_decides_the_wait(clock):
    error = RateLimited("slow down", meaning=Meaning.UNKNOWN, retry_after=7)
    slept = await waits(error, RetryBudget(TimeLimits(retry=20)), clock)
    assert len(slept) == 2
    assert all(7 <= wait <= 7.7 for wait in slept)


async def test_a_longer_retry_after_than_the_budget_is_left_to_the_caller(clock):
    error = RateLimited("slow down", meaning=Meaning.TRY_AGAIN, retry_after=3600)
    for submit in (False, True):
        assert await waits(error, RetryBudget(TimeLimits(retry=20), submit=submit), clock) == []
    assert error.retry_after == 3600


async def test_waits_grow_up_to_a_limit_and_end_with_the_total(clock):
    slept = await waits(PASSING, RetryBudget(TimeLimits(retry=120)), clock)
    assert 0.25 <= slept[0] <= 0.75
    assert slept[4] > slept[0]
    assert max(slept) <= 15
    assert 90 < sum(slept) < 120


async def test_no_wait_is_below_the_floor(clock):
    slept = await waits(PASSING, RetryBudget(TimeLimits(retry=200), floor=20), clock)
    assert slept
    assert min(slept) >= 20
    error = RateLimited("slow down", meaning=Meaning.UNKNOWN, retry_after=0)
    assert min(await waits(error, RetryBudget(TimeLimits(retry=200), floor=20), clock)) >= 20


async def test_every_loop_has_a_whole_budget(clock):
    budget = RetryBudget(TimeLimits(retry=120))
    first = await waits(PASSING, budget, clock)
    count, longest = len(first), max(first)
    clock.now += 1000
    again = await waits(PASSING, budget, clock)
    assert abs(len(again) - count) <= 1
    assert again[0] < 1 < longest


async def test_renewed_it_begins_anew_with_the_shortest_wait(clock):
    budget, count = RetryBudget(TimeLimits(retry=60)), 0

    async def fail() -> None:
        nonlocal count
        async for attempt in budget:
            with attempt:
                count += 1
                clock.now += 59  # what an attempt takes counts
                if count < 50:
                    budget.renew()
                raise PASSING

    with pytest.raises(ProviderUnavailable):
        await fail()
    assert count >= 50
    assert max(clock.slept[:48]) < 1


async def test_an_attempt_that_brings_nothing_uses_the_budget(clock):
    budget, count = RetryBudget(TimeLimits(retry=60)), 0

    async def fail() -> None:
        nonlocal count
        async for attempt in budget:
            with attempt:
                count += 1
                clock.now += 61
                raise PASSING

    with pytest.raises(ProviderUnavailable):
        await fail()
    assert count == 1


async def test_what_is_transferred_once_more_neither_renews_nor_uses_it(clock):
    budget, count = RetryBudget(TimeLimits(retry=60)), 0

    async def fail() -> None:
        nonlocal count
        async for attempt in budget:
            with attempt:
                count += 1
                reached = budget.transfer()
                for position in (10, 20, 30):
                    clock.now += 1000
                    reached(position)
                raise PASSING

    with pytest.raises(ProviderUnavailable):
        await fail()
    assert 4 <= count <= 20
    assert 40 < sum(clock.slept) < 60


@pytest.mark.parametrize("kind", [ProviderUnavailable, Refused])
async def test_our_retries_are_not_logged_as_warnings(at_once, caplog, kind):
    await attempts(kind("away", meaning=Meaning.TRY_AGAIN))
    assert caplog.records == []


async def test_retries_of_other_code_are_logged_as_ever(at_once, caplog):
    def fail() -> None:
        raise KeyError("theirs")

    with pytest.raises(KeyError):
        stamina.retry(on=KeyError)(fail)()
    assert "stamina.retry_scheduled" in caplog.text
