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
from remote_upscale.api_clients.http.retry import retrying
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
        async for attempt in retrying(TimeLimits(), submit=submit):
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
    async for attempt in retrying(TimeLimits()):
        with attempt:
            error = next(outcomes, None)
            if error is not None:
                raise error
    assert attempt.num == 3


async def waits(
    error: RemoteUpscaleError, limits: TimeLimits, monkeypatch: pytest.MonkeyPatch
) -> list[float]:
    """The waits between attempts, on a clock that only waiting moves."""
    now, slept = [1000.0], []

    async def sleep(delay: float) -> None:
        slept.append(delay)
        now[0] += delay

    async def fail() -> None:
        async for attempt in retrying(limits):
            with attempt:
                raise error

    monkeypatch.setattr("asyncio.sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with pytest.raises(type(error)):
        await fail()
    return slept


async def test_retry_after_decides_the_wait(monkeypatch):
    error = RateLimited("slow down", meaning=Meaning.UNKNOWN, retry_after=7)
    slept = await waits(error, TimeLimits(retry=20), monkeypatch)
    assert len(slept) == 2
    assert all(7 <= wait <= 7.7 for wait in slept)


async def test_retry_after_never_passes_the_total(monkeypatch):
    error = RateLimited("slow down", meaning=Meaning.UNKNOWN, retry_after=3600)
    assert await waits(error, TimeLimits(retry=20), monkeypatch) == []


async def test_waits_grow_up_to_a_limit_and_end_with_the_total(monkeypatch):
    slept = await waits(PASSING, TimeLimits(retry=120), monkeypatch)
    assert 0.25 <= slept[0] <= 0.75
    assert slept[4] > slept[0]
    assert max(slept) <= 15
    assert sum(slept[:-1]) < 120


async def test_our_retries_are_not_logged_as_warnings(at_once, caplog):
    await attempts(PASSING)
    assert caplog.records == []


async def test_retries_of_other_code_are_logged_as_ever(at_once, caplog):
    def fail() -> None:
        raise KeyError("theirs")

    with pytest.raises(KeyError):
        stamina.retry(on=KeyError)(fail)()
    assert "stamina.retry_scheduled" in caplog.text
